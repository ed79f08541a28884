import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from open_clip.transform import image_transform
from PIL import Image
from pydantic import ValidationError
from small_sets import FORMATS, numbers, picture, write_set

from scaling.errors import DataError
from scaling.evaluation_sets import EVALUATION_SETS, Batch, Examples
from scaling.families._images import Framing, Interpolation, Resize

KIND = EVALUATION_SETS.get("webdataset")
CLASSES = ("cat", "dog", "emu")


def opened(folder: Path, broken: Any = "error", **options: object) -> Examples:
    parsed = KIND.options.model_validate({"folder": folder.name, **options})
    return KIND.open(parsed, folder.parent, broken)


def read(folder: Path, **options: Any) -> list[Batch]:
    return list(opened(folder, **options).batches(16))


def labelled(count: int, start: int = 0) -> list[dict[str, bytes]]:
    suffixes = list(FORMATS)
    return [
        {
            suffixes[n % 4]: picture(n, suffixes[n % 4]),
            "cls": str(n % len(CLASSES)).encode(),
        }
        for n in range(start, start + count)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_set(tmp_path / "set", [labelled(5), labelled(4, 5)], classes=CLASSES)


def test_labels_come_in_the_order_of_shards(folder: Path) -> None:
    (batch,) = read(folder)

    assert batch.labels is not None
    assert batch.labels.tolist() == [n % 3 for n in range(9)]
    assert batch.images.shape == (9, 16, 16, 3)


def test_class_names_and_templates_are_those_of_the_set(folder: Path) -> None:
    (folder / "zeroshot_classification_templates.txt").write_text("a {c}.\nthe {c}\n\n")

    examples = opened(folder)

    assert tuple(examples.class_names) == CLASSES
    assert tuple(examples.templates) == ("a {c}.", "the {c}")


@pytest.mark.parametrize("size", [(40, 30), (31, 97), (224, 224), (10, 7), (500, 375)])
@pytest.mark.parametrize("suffix", FORMATS)
def test_pixels_are_those_of_open_clips_transform(
    tmp_path: Path, size: tuple[int, int], suffix: str
) -> None:
    encoded = picture(0, suffix, size)
    folder = write_set(tmp_path / "set", [[{suffix: encoded, "cls": b"0"}]], classes=["it"])
    transform = image_transform(32, is_train=False, mean=(0, 0, 0), std=(1, 1, 1))

    (batch,) = opened(folder).batches(32)

    wanted = transform(Image.open(io.BytesIO(encoded))) * 255
    np.testing.assert_array_equal(batch.images[0], wanted.round().permute(1, 2, 0).numpy())


def test_captions_are_a_line_each(tmp_path: Path) -> None:
    texts = [b"one\ntwo\n", "zwölf drei".encode()]
    samples = [{"png": picture(n, "png"), "txt": text} for n, text in enumerate(texts)]
    folder = write_set(tmp_path / "set", [samples], kind="retrieval")

    (batch,) = read(folder, truth="captions")

    assert batch.captions == (("one", "two"), ("zwölf drei",))
    assert batch.labels is None


def test_several_labels_are_rows_of_zero_and_one(tmp_path: Path) -> None:
    rows = [[0, 1, 1], [0, 0, 0]]
    samples = [{"jpg": picture(n), "npy": numbers(row)} for n, row in enumerate(rows)]
    folder = write_set(tmp_path / "set", [samples], classes=CLASSES, kind="multilabel")

    (batch,) = read(folder, truth="multilabel")

    assert batch.labels is not None
    assert batch.labels.tolist() == rows


def test_metadata_have_the_names_that_are_given(tmp_path: Path) -> None:
    samples = [
        {**sample, "npy": numbers([n, 10 + n, 2000, np.nan])}
        for n, sample in enumerate(labelled(3))
    ]
    folder = write_set(tmp_path / "set", [samples[:1], samples[1:]], classes=CLASSES)

    (batch,) = read(folder, metadata={"region": 1, "year": 2})

    assert batch.metadata is not None
    assert {name: its.tolist() for name, its in batch.metadata.items()} == {
        "region": [10, 11, 12],
        "year": [2000] * 3,
    }


def test_a_class_may_have_a_blank_for_its_name(folder: Path) -> None:
    (folder / "classnames.txt").write_text("cat\n\ngnu\n")

    assert list(opened(folder).class_names) == ["cat", "", "gnu"]


def test_order_and_pixels_do_not_depend_on_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_set(tmp_path / "set", [labelled(150), labelled(150, 150)], classes=CLASSES)
    alone = read(folder)

    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    together = read(folder)

    assert [len(batch.images) for batch in alone] == [128, 128, 44]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_identity_is_of_contents_and_not_of_places(folder: Path, tmp_path: Path) -> None:
    identity = opened(folder).identity

    copy = shutil.copytree(folder, tmp_path / "copy")
    assert opened(copy).identity == identity
    assert opened(copy, metadata={}, truth="labels").identity == identity

    (copy / "classnames.txt").write_text("cat\ndog\ngnu\n")
    assert opened(copy).identity != identity
    relabelled = [{**sample, "cls": b"1"} for sample in labelled(5)]
    other = write_set(tmp_path / "other", [relabelled, labelled(4, 5)], classes=CLASSES)
    assert opened(other).identity != identity


def test_an_absolute_path_needs_no_folder_of_sets(folder: Path) -> None:
    parsed = KIND.options.model_validate({"folder": str(folder)})

    assert len(list(KIND.open(parsed, None).batches(8))) == 1


@pytest.mark.parametrize("path", ["../set", "a/../../set", ""])
def test_a_relative_path_stays_in_the_folder_of_sets(path: str) -> None:
    with pytest.raises(ValidationError):
        KIND.options.model_validate({"folder": path})


def broken_picture(suffix: str = "jpg") -> bytes:
    return picture(0, suffix)[:200]


def test_a_picture_that_does_not_decode_is_an_error(tmp_path: Path) -> None:
    samples = [*labelled(2), {"jpg": broken_picture(), "cls": b"1"}]
    folder = write_set(tmp_path / "set", [labelled(2), samples], classes=CLASSES)

    with pytest.raises(DataError, match=r"1\.tar: s4: the picture does not decode"):
        read(folder)


def test_pictures_that_do_not_decode_may_be_left_out_and_are_counted_once(tmp_path: Path) -> None:
    samples = [{"jpg": broken_picture(), "cls": b"2"}, *labelled(4), {"png": b"", "cls": b"0"}]
    folder = write_set(tmp_path / "set", [samples], classes=CLASSES)
    examples = opened(folder, "skip")

    for _ in range(2):
        (batch,) = examples.batches(16)
        assert batch.labels is not None
        assert batch.labels.tolist() == [0, 1, 2, 0]
        assert len(batch.images) == 4
        assert examples.skipped == 2


def test_a_set_without_one_picture_that_decodes_is_an_error(tmp_path: Path) -> None:
    samples = [{"jpg": broken_picture(), "cls": b"2"}] * 2
    folder = write_set(tmp_path / "set", [samples], classes=CLASSES)

    with pytest.raises(DataError, match="none of its 2 pictures decodes"):
        read(folder, broken="skip")


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    return change


def cut(folder: Path) -> None:
    shard = folder / "test" / "1.tar"
    shard.write_bytes(shard.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, r"unknown evaluation set 'set'"),
        (lambda folder: shutil.rmtree(folder / "test"), "unknown split 'test'"),
        (remove("classnames.txt"), "has no classnames.txt"),
        (write("classnames.txt", ""), "names no class"),
        (write("zeroshot_classification_templates.txt", "a {c}\n\n{c}"), "line 2 is blank"),
        (write("zeroshot_classification_templates.txt", "a {c}\na {d}"), "line 2: .* no {c}"),
        (
            write("dataset_type.txt", "retrieval"),
            "declare the set with `truth: captions or choices`",
        ),
        (write("dataset_type.txt", "retreival"), "did you mean 'retrieval'"),
        (remove("test/nshards.txt"), "has no nshards.txt"),
        (write("test/nshards.txt", "two"), "not how many shards"),
        (write("test/nshards.txt", "0"), "not how many shards"),
        (write("test/nshards.txt", "3"), r"missing 1 of 3 shards: .*2\.tar"),
        (write("test/nshards.txt", "1"), r"says 1, but 1\.tar is there"),
        (remove("test/0.tar"), r"missing 1 of 2 shards: .*0\.tar"),
    ],
)
def test_what_is_wrong_with_files_is_said_before_anything_runs(
    folder: Path, change: Callable[[Path], None], message: str
) -> None:
    change(folder)

    with pytest.raises(DataError, match=message):
        KIND.check(KIND.options.model_validate({"folder": folder.name}), folder.parent)


def test_without_a_folder_of_sets_it_is_said_how_to_give_one() -> None:
    with pytest.raises(DataError, match="SCALING_EVALUATION_SETS"):
        KIND.check(KIND.options.model_validate({"folder": "wds_imagenet1k_test"}), None)


@pytest.mark.parametrize(
    ("members", "options", "message"),
    [
        ({"cls": b"3"}, {}, r"0\.tar: s0\.cls: class 3, but classnames.txt names 3 \(0 to 2\)"),
        ({"cls": b"-1"}, {}, "class -1"),
        ({"cls": b"cat"}, {}, "b'cat' is not the number of a class"),
        ({"txt": b"cat"}, {}, r"s0: has no \.cls \(it has \.jpg, \.txt\)"),
        ({"cls": b"0", "png": b""}, {}, "needs one picture"),
        ({"txt": b" \n"}, {"truth": "captions"}, "has no caption"),
        ({"txt": b"\xff"}, {"truth": "captions"}, "not text in UTF-8"),
        ({"npy": numbers([1, 0])}, {"truth": "multilabel"}, "has 2 elements, .* 3 classes"),
        ({"npy": numbers([1, 0, 2])}, {"truth": "multilabel"}, "other than 0 and 1"),
        ({"npy": b"no array"}, {"truth": "multilabel"}, "is not an array of numbers"),
        ({"cls": b"0"}, {"metadata": {"region": 0}}, r"has no \.npy"),
        (
            {"cls": b"0", "npy": numbers([1])},
            {"metadata": {"region": 1}},
            "region is element 1, but there are 1",
        ),
        ({"cls": b"0", "npy": numbers([0.5])}, {"metadata": {"region": 0}}, "not whole numbers"),
        ({"cls": b"0", "npy": numbers([np.nan])}, {"metadata": {"region": 0}}, "not whole"),
    ],
)
def test_a_sample_at_fault_is_named(
    tmp_path: Path, members: dict[str, bytes], options: dict[str, object], message: str
) -> None:
    folder = write_set(tmp_path / "set", [[{"jpg": picture(0), **members}]], classes=CLASSES)

    with pytest.raises(DataError, match=message):
        read(folder, **options)


def test_a_shard_that_ends_early_is_an_error_and_no_smaller_set(folder: Path) -> None:
    cut(folder)

    with pytest.raises(DataError, match=r"1\.tar: is damaged"):
        read(folder)


@pytest.mark.parametrize("shards", [[[]], [[], []]])
def test_an_empty_set_is_an_error(tmp_path: Path, shards: Sequence[list[Any]]) -> None:
    with pytest.raises(DataError, match="no sample in its shards"):
        read(write_set(tmp_path / "set", shards, classes=CLASSES))


@pytest.mark.parametrize("size", [(40, 30), (31, 97), (32, 32), (10, 7), (333, 17)])
@pytest.mark.parametrize("resize", get_args(Resize))
@pytest.mark.parametrize("interpolation", get_args(Interpolation))
def test_every_framing_is_that_of_open_clips_transform(
    tmp_path: Path, size: tuple[int, int], resize: Resize, interpolation: Interpolation
) -> None:
    encoded = picture(0, "png", size)
    folder = write_set(tmp_path / "set", [[{"png": encoded, "cls": b"0"}]], classes=["it"])
    transform = image_transform(
        32,
        is_train=False,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        resize_mode=resize,
        interpolation=interpolation,
    )

    framing = Framing(resize=resize, interpolation=interpolation)
    (batch,) = opened(folder).batches(32, framing)

    wanted = transform(Image.open(io.BytesIO(encoded))) * 255
    np.testing.assert_array_equal(batch.images[0], wanted.round().permute(1, 2, 0).numpy())
