"""Choosing among captions that are alike: the field's files, and the field's numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from caption_group_files import (
    SUGAR_CREPE,
    WINOGROUND,
    groups_in,
    texts,
    write_sugar_crepe,
    write_winoground,
)
from clip_benchmark.datasets.sugar_crepe import SugarCrepe
from clip_benchmark.metrics import image_caption_selection
from small_sets import picture, write_set

from scaling.datasets._webdataset.decoding import center_crop
from scaling.errors import DataError
from scaling.evals._declared import Task
from scaling.evals._evaluation import Evaluation
from scaling.evals._measured import measure
from scaling.evals._selection import selection_metrics
from scaling.evals._subject import Subject
from scaling.families import FAMILIES
from scaling.families._images import to_inputs
from scaling.families._tokenizers import tokenize

CONFIG = FAMILIES.get("clip").models["tiny-a"]


def task(options: dict[str, Any], kind: str = "image_caption_selection", **others: Any) -> Task:
    return Task.parse("mine", {"kind": kind, "set": options, **others})


def subject_of(root: Path, family: str = "clip", **evaluation: Any) -> Subject:
    torch.manual_seed(0)
    network = FAMILIES.get(family).build("tiny-a").eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim and not parameter.any():
                parameter.normal_(std=0.02)  # Heads that begin at zero find all captions alike.
    config = FAMILIES.get(family).models["tiny-a"]
    return Subject(network, config, Evaluation(sets=root, **evaluation))


class Features(torch.nn.Module):
    """Images and texts are numbers of features."""

    def __init__(self, images: np.ndarray, texts: np.ndarray) -> None:
        super().__init__()
        self.images, self.texts = torch.from_numpy(images), torch.from_numpy(texts)

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return self.images[images.flatten().long()]

    def encode_text(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.texts[numbers]


@pytest.mark.parametrize(("images", "captions"), [(1, 2), (2, 2), (2, 3), (3, 2), (1, 5)])
def test_metrics_are_clip_benchmarks(images: int, captions: int) -> None:
    groups, width = 300, 6
    random = np.random.default_rng(0)
    image_features = random.standard_normal((groups, images, width)).astype(np.float32)
    text_features = random.standard_normal((groups, captions, width)).astype(np.float32)
    alike = min(images, captions)
    text_features[:, :alike] += image_features[:, :alike]
    image_features /= np.linalg.norm(image_features, axis=2, keepdims=True)
    text_features /= np.linalg.norm(text_features, axis=2, keepdims=True)
    if images > 1:
        text_features[:20, 1] = text_features[:20, 0]  # Equal scores.

    found = selection_metrics(
        [own @ texts.T for own, texts in zip(image_features, text_features, strict=True)]
    )

    numbers = torch.arange(groups * images).reshape(groups, images, 1, 1, 1)
    names = [[str(n) for n in own] for own in np.arange(groups * captions).reshape(groups, -1)]
    theirs = image_caption_selection.evaluate(
        Features(image_features.reshape(-1, width), text_features.reshape(-1, width)),
        [(numbers[rows], names[rows]) for rows in (slice(0, 170), slice(170, None))],
        lambda texts: torch.tensor([int(text) for text in texts]),
        "cpu",
        amp=False,
    )
    assert found == pytest.approx(theirs, rel=0, abs=1e-6)
    assert 0.2 < found["text_acc"] < 0.95


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # An open file.
@pytest.mark.parametrize("family", ["clip", "mammut"])
def test_sugar_crepe_is_measured_as_clip_benchmark_measures_its_files(
    family: str, tmp_path: Path
) -> None:
    write_sugar_crepe(tmp_path)
    subject = subject_of(tmp_path, family)
    config = subject.config

    found = measure(task(groups_in(SUGAR_CREPE)), subject)

    folder = tmp_path / "sugar_crepe"
    theirs = SugarCrepe(
        str(folder / "val2017"),
        str(folder / "swap_obj.json"),
        lambda image: to_inputs(
            center_crop(image.convert("RGB"), config.image_size)[None].copy(), torch.device("cpu")
        )[0],
    )
    rows = [theirs[row] for row in range(len(theirs))]
    expected = image_caption_selection.evaluate(
        subject.network,
        [(torch.stack([image for image, _ in rows]), [own for _, own in rows])],
        lambda captions: torch.from_numpy(tokenize(captions, config)),
        "cpu",
        amp=False,
    )
    assert dict(found.values) == pytest.approx(expected, rel=0, abs=1e-6)
    assert found.values["image_acc"] == 1
    assert 0 < found.values["acc"] < 1
    assert found.evaluation_set.startswith("image-caption-groups-")
    assert found.skipped_images == 0


def test_winogrounds_pictures_are_taken_by_group_and_in_order(tmp_path: Path) -> None:
    write_winoground(tmp_path, 70)
    subject = subject_of(tmp_path)

    found = measure(task(groups_in(WINOGROUND)), subject).values

    scores = []
    for number in range(70):
        images = [
            center_crop(_opened(tmp_path, f"ex_{number}_img_{side}.png"), CONFIG.image_size)
            for side in (0, 1)
        ]
        features = subject.image_features(np.stack(images))
        scores.append(features @ subject.text_features(texts(number)).T)
    assert found == selection_metrics(scores)
    assert found["acc"] <= min(found["image_acc"], found["text_acc"])


def _opened(root: Path, name: str) -> Any:
    from PIL import Image

    return Image.open(root / "winoground" / "data" / "images" / name).convert("RGB")


def test_shards_with_a_true_text_first_are_groups_of_one_picture(tmp_path: Path) -> None:
    write_sugar_crepe(tmp_path)
    samples = [
        {"jpg": picture(number), "txt": "\n".join(texts(number)).encode()} for number in range(40)
    ]
    write_set(tmp_path / "wds_swap_obj", [samples[:25], samples[25:]], kind="retrieval")
    subject = subject_of(tmp_path)
    shards = {"kind": "webdataset", "folder": "wds_swap_obj", "truth": "choices"}

    found = measure(task(shards), subject)

    assert found.values == measure(task(groups_in(SUGAR_CREPE)), subject).values


@pytest.mark.parametrize("files", [SUGAR_CREPE, WINOGROUND], ids=["sugar_crepe", "winoground"])
def test_a_group_with_a_broken_picture_ends_the_evaluation_or_is_left_out(
    files: dict[str, str], tmp_path: Path
) -> None:
    write_sugar_crepe(tmp_path)
    write_winoground(tmp_path)
    pictures = sorted((tmp_path / files["folder"] / files["pictures"]).iterdir())
    whole = pictures[5].read_bytes()
    pictures[5].write_bytes(whole[: len(whole) // 3])
    mine = task(groups_in(files))

    with pytest.raises(DataError, match=rf"{pictures[5].name}.*does not decode.*broken_images"):
        measure(mine, subject_of(tmp_path))
    found = measure(mine, subject_of(tmp_path, broken="skip"))

    assert found.skipped_images == (2 if files is WINOGROUND else 1)
    assert set(found.values) == {"image_acc", "text_acc", "acc"}


def lines(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def changed(root: Path) -> None:
        path = root / "winoground" / "data" / "examples.jsonl"
        first, *others = path.read_text().splitlines()
        fields = json.loads(first)
        change(fields)
        path.write_text("\n".join([json.dumps(fields), *others]))

    return changed


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: (root / "winoground").rename(root / "elsewhere"), "evaluation set"),
        (
            lambda root: (root / "winoground/data/images").rename(root / "images"),
            "there is no folder",
        ),
        (
            lambda root: (root / "winoground/data/examples.jsonl").unlink(),
            "no such file of annotations",
        ),
        (
            lambda root: (root / "winoground/data/examples.jsonl").write_text("\n"),
            "there is no group",
        ),
        (
            lambda root: (root / "winoground/data/examples.jsonl").write_text("{"),
            "cannot be read",
        ),
        (
            lambda root: (root / "winoground/data/examples.jsonl").write_text("[1]"),
            "line 1: is no object",
        ),
        (lines(lambda fields: fields.pop("caption_1")), "line 1: has no caption_1"),
        (lines(lambda fields: fields.update(image_0="ex_9999")), "there is no picture ex_9999"),
        (
            lines(lambda fields: fields.update(image_0="../examples.jsonl")),
            "there is no picture ../examples.jsonl",
        ),
    ],
)
def test_files_that_are_wrong_are_said_before_anything_is_measured(
    spoil: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    write_winoground(tmp_path, 3)
    spoil(tmp_path)

    with pytest.raises(DataError, match=said):
        task(groups_in(WINOGROUND)).check(tmp_path)


def test_a_set_that_knows_no_wrong_texts_leaves_nothing_to_choose() -> None:
    captions = {"kind": "webdataset", "folder": "wds_mine", "truth": "captions"}

    with pytest.raises(ValueError, match="needs a set with choices, and this one has captions"):
        task(captions)


@pytest.mark.parametrize("family", ["mammut", "coca", "cap"])
@pytest.mark.parametrize("files", [SUGAR_CREPE, WINOGROUND], ids=["sugar_crepe", "winoground"])
def test_captioners_choose_what_is_likelier(
    family: str, files: dict[str, str], tmp_path: Path
) -> None:
    write_sugar_crepe(tmp_path, 12)
    write_winoground(tmp_path, 12)
    subject = subject_of(tmp_path, family)
    mine = task(groups_in(files), "generative_image_caption_selection")
    likelihood: Any = subject.network.caption_log_likelihood

    found = measure(mine, subject).values

    scores = []
    for batch in subject.batches(subject.examples(mine.choices().picture_set)):
        each = 2 if files is WINOGROUND else 1
        for first in range(0, len(batch.images), each):
            tokens = torch.from_numpy(tokenize(batch.captions[first], subject.config))
            with torch.inference_mode():
                of_images = [
                    likelihood(subject.inputs(batch.images[[row]]), tokens).numpy()
                    for row in range(first, first + each)
                ]
            scores.append(np.stack(of_images))
    assert found == selection_metrics(scores)


def test_what_is_common_without_a_picture_is_taken_off_texts_and_not_off_pictures(
    tmp_path: Path,
) -> None:
    write_winoground(tmp_path)
    subject = subject_of(tmp_path, "mammut")
    kind = "generative_image_caption_selection"

    plain = measure(task(groups_in(WINOGROUND), kind), subject).values
    corrected = measure(task(groups_in(WINOGROUND), kind, prior_weight=1), subject).values

    assert corrected["image_acc"] == plain["image_acc"]
    assert corrected["text_acc"] != plain["text_acc"]
