from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from mask_folders import SIZES, write_folder
from PIL import Image
from pydantic import ValidationError

from scaling.errors import DataError
from scaling.evaluation_sets import EVALUATION_SETS, IGNORED, Broken
from scaling.evaluation_sets._label_maps import LabelMapExamples
from scaling.families._images import Framing, Resize

KIND = EVALUATION_SETS.get("label_maps")


def opened(root: Path, broken: Broken = "error", **options: Any) -> LabelMapExamples:
    given = {"folder": "set", "classes": 3, "reduce_zero_label": True, **options}
    found = KIND.open(KIND.options.model_validate(given), root, broken)
    assert isinstance(found, LabelMapExamples)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path / "set")
    return tmp_path


def test_pictures_come_as_they_are_with_classes_from_zero(root: Path) -> None:
    pictures = opened(root).pictures("scored", 16)

    assert len(pictures) == 4
    for n, (width, height) in enumerate(SIZES):
        picture = pictures[n]
        assert picture is not None
        assert picture.image.shape == (height, width, 3)
        assert picture.mask.shape == (height, width)
        assert set(np.unique(picture.mask)) == {0, 1, 2, IGNORED}
        assert (picture.mask[: height // 4, : width // 4] == IGNORED).all()


def test_both_ways_to_write_labels_read_the_same(root: Path) -> None:
    write_folder(root / "other", zero_is_other=False)

    here = opened(root).pictures("training", 16)
    there = opened(root, folder="other", reduce_zero_label=False).pictures("training", 16)

    for n in range(len(here)):
        np.testing.assert_array_equal(here[n].mask, there[n].mask)  # type: ignore[union-attr]


@pytest.mark.parametrize("resize", get_args(Resize))
def test_batches_are_the_same_squares_of_pictures_and_masks(root: Path, resize: Resize) -> None:
    (batch,) = opened(root).batches(16, Framing(resize=resize))

    assert batch.images.shape == (4, 16, 16, 3)
    assert batch.masks is not None
    assert batch.masks.shape == (4, 16, 16)
    # The colour of a pixel says its class, but where interpolation mixes bands.
    brightest = batch.images.argmax(axis=3)
    known = batch.masks != IGNORED
    assert (brightest == batch.masks)[known].mean() > 0.9


def test_palettes_and_sixteen_bits_are_indices(root: Path) -> None:
    expected = [opened(root).pictures("scored", 16)[n].mask for n in range(2)]  # type: ignore[union-attr]
    folder = root / "set" / "annotations" / "validation"
    with_palette = Image.open(folder / "p000.png")
    with_palette.putpalette([n % 251 for n in range(768)])
    with_palette.save(folder / "p000.png")
    deep = np.asarray(Image.open(folder / "p001.png")).astype(np.uint16)
    Image.fromarray(deep).save(folder / "p001.png")

    pictures = opened(root).pictures("scored", 16)

    for n in range(2):
        np.testing.assert_array_equal(pictures[n].mask, expected[n])  # type: ignore[union-attr]


def test_suffixes_and_folders_are_options_at_any_depth(root: Path) -> None:
    folder = root / "city"
    for part in ("leftImg8bit", "gtFine"):
        (folder / part / "town").mkdir(parents=True)
    pixels = np.zeros((8, 8, 3), np.uint8)
    for name in ("a", "b"):
        Image.fromarray(pixels).save(folder / f"leftImg8bit/town/{name}_leftImg8bit.png")
        Image.fromarray(pixels[..., 0]).save(folder / f"gtFine/town/{name}_gtFine_ids.png")
    half = {"training_images": "leftImg8bit", "training_masks": "gtFine"}

    with pytest.raises(DataError, match="is among the pictures that are scored"):
        opened(
            root, folder="city", image_suffix="_leftImg8bit.png", mask_suffix="_gtFine_ids.png",
            scored_images="leftImg8bit", scored_masks="gtFine", **half,
        )  # fmt: skip
    (folder / "other").mkdir()
    (folder / "leftImg8bit/town/b_leftImg8bit.png").rename(folder / "other/b_leftImg8bit.png")
    (folder / "gtFine/town/b_gtFine_ids.png").rename(folder / "other/b_gtFine_ids.png")
    examples = opened(
        root, folder="city", image_suffix="_leftImg8bit.png", mask_suffix="_gtFine_ids.png",
        scored_images="other", scored_masks="other", reduce_zero_label=False, **half,
    )  # fmt: skip
    assert (len(examples.pictures("training", 8)), len(examples.pictures("scored", 8))) == (1, 1)


def test_class_names_come_from_a_file_that_must_agree(root: Path) -> None:
    (root / "set" / "names.txt").write_text("red\ngreen\nblue\n")

    examples = opened(root, classes=None, class_names="names.txt")

    assert examples.class_names == ("red", "green", "blue")
    with pytest.raises(DataError, match="names 3 classes, and there are 4"):
        opened(root, classes=4, class_names="names.txt")
    with pytest.raises(ValidationError, match="say how many `classes`"):
        KIND.options.model_validate({"folder": "set"})
    with pytest.raises(ValidationError, match="leads out of the folder"):
        KIND.options.model_validate({"folder": "../set", "classes": 3})


def test_what_is_missing_is_said(root: Path) -> None:
    with pytest.raises(DataError, match="unknown evaluation set 'sett'; did you mean 'set'"):
        opened(root, folder="sett")
    with pytest.raises(DataError, match="in which folder"):
        KIND.check(KIND.options.model_validate({"folder": "set", "classes": 3}), None)
    with pytest.raises(DataError, match=r"there is no folder .*validated"):
        opened(root, scored_images="validated")
    with pytest.raises(DataError, match=r"there is no picture \*.webp"):
        opened(root, image_suffix=".webp")
    for name in ("p001", "p002"):
        (root / "set" / "annotations" / "training" / f"{name}.png").unlink()
    with pytest.raises(DataError, match=r"p001.png: the label map of p001.jpg is missing, and 1"):
        opened(root)


def test_wrong_label_maps_are_errors(root: Path) -> None:
    folder = root / "set" / "annotations" / "validation"
    pictures = opened(root).pictures("scored", 16)
    with pytest.raises(DataError, match=r"has the value 3, which is no class \(1 to 2\)"):
        opened(root, classes=2).pictures("scored", 16)[0]

    Image.new("L", (7, 5)).save(folder / "p000.png")
    with pytest.raises(DataError, match="has 7 x 5 pixels, and its picture 40 x 30"):
        pictures[0]
    Image.new("RGB", (40, 30)).save(folder / "p000.png")
    with pytest.raises(DataError, match="is a picture in colours"):
        pictures[0]


def test_pictures_that_do_not_decode_are_errors_or_counted_gaps(root: Path) -> None:
    broken = root / "set" / "images" / "validation" / "p002.jpg"
    broken.write_bytes(b"no picture")

    with pytest.raises(DataError, match=r"p002.jpg: does not decode"):
        opened(root).pictures("scored", 16)[2]

    examples = opened(root, broken="skip")
    pictures = examples.pictures("scored", 16)
    assert [pictures[n] is None for n in range(4)] == [False, False, True, False]
    assert pictures[2] is None
    assert examples.skipped == 1


def test_identity_is_of_contents_and_not_of_places(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / "set").rename(root / "elsewhere" / "moved")
    here = opened(root, folder="elsewhere/moved").identity
    write_folder(root / "set")

    assert opened(root).identity == here
    assert opened(root, classes=4).identity != here
    (root / "set" / "images" / "training" / "p000.jpg").write_bytes(b"other")
    assert opened(root).identity != here
