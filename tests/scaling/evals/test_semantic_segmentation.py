"""The task as a whole: on the embedded set and on folders, frozen and fine-tuned."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mask_folders import write_folder
from PIL import Image
from torch import nn

from scaling.datasets import DATASETS
from scaling.errors import DataError, OptionsError, ScalingError
from scaling.evals._catalogue import CATALOGUE
from scaling.evals._declared import Task
from scaling.evals._evaluation import Evaluation
from scaling.evals._segmentation.augmenting import augmented
from scaling.evals._segmentation.options import TrainingOptions
from scaling.evals._segmentation.segmenter import PatchEncoder
from scaling.evals._segmentation.training import Batches, Fitted, fitted, rate_factor
from scaling.evals._subject import Subject
from scaling.evaluation_sets import IGNORED, Picture
from scaling.evaluation_sets.shapes import ShapesExamples, ShapesOptions
from scaling.families import FAMILIES
from scaling.families._images import to_inputs
from scaling.families._patches import copied_tower
from scaling.families._tokenizers import tokenize
from scaling.train.session import Session
from scaling.trial import Cosine, Data, Recipe

SHAPES = {"kind": "shapes", "content": "masks", "count": 40, "training": 60}
FOLDER = {"kind": "label_maps", "folder": "set", "classes": 3, "reduce_zero_label": True}
QUICK = {"epochs": 3, "batch_size": 4, "warmup_steps": 2, "learning_rate": 0.01}
LONGER = {**QUICK, "epochs": 20}
SMALL = {"mode": "finetune", "crop_size": 16, "patch_size": 4}


def network_of(family: str = "clip", model: str = "tiny-a", *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return FAMILIES.get(family).build(model).eval()


def measured(
    network: nn.Module, sets: Path | None = None, *, picture_set: Mapping[str, Any], **how: Any
) -> dict[str, float]:
    task = Task.parse("t", {"kind": "semantic_segmentation", "set": picture_set, **how})
    subject = Subject(network, FAMILIES.get("clip").models["tiny-a"], Evaluation(sets=sets))
    with torch.inference_mode():
        return dict(task.of_kind.measure(task.choices(), subject))


@pytest.mark.parametrize("family", FAMILIES.names())
@pytest.mark.parametrize(
    "how",
    [{}, {"head": "adamw", "training": QUICK}, {**SMALL, "training": QUICK}],
    ids=["closed form", "head trained", "fine-tuned"],
)
def test_measuring_changes_neither_network_nor_random_numbers(
    family: str, how: dict[str, Any]
) -> None:
    network = network_of(family)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = torch.get_rng_state()

    values = measured(network, picture_set=SHAPES, **how)

    assert list(values) == ["mean_iou", "pixel_accuracy", "mean_accuracy"]
    assert all(0 <= value <= 1 for value in values.values())
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(drawn, torch.get_rng_state())
    torch.manual_seed(1)
    assert measured(network, picture_set=SHAPES, **how) == values


@pytest.mark.parametrize(
    "how",
    [{}, {"head": "adamw", "training": LONGER}, {**SMALL, "training": LONGER}],
    ids=["closed form", "head trained", "fine-tuned"],
)
def test_colours_of_real_files_of_any_size_are_told_apart(
    tmp_path: Path, how: dict[str, Any]
) -> None:
    write_folder(tmp_path / "set")

    values = measured(network_of(), tmp_path, picture_set=FOLDER, **how)

    # Three bands a picture, each of one class: two in three is what the best guess without a look
    # would miss.
    assert values["pixel_accuracy"] > 0.6
    assert values["mean_iou"] > 0.4


def test_fine_tuning_goes_from_the_networks_size_to_any_other(tmp_path: Path) -> None:
    write_folder(tmp_path / "set")
    how = {**SMALL, "crop_size": 32, "patch_size": 8, "training": QUICK}

    values = measured(network_of(), tmp_path, picture_set=FOLDER, **how)

    assert 0 < values["mean_iou"] < 1


def tuned(**options: Any) -> Fitted:
    examples = ShapesExamples(ShapesOptions(content="masks", count=1, training=64))
    return fitted(
        PatchEncoder(copied_tower(network_of(model="tiny-b").visual)),
        examples.pictures("training", 16),
        classes=11,
        crop=16,
        options=TrainingOptions(**{**QUICK, "encoder_learning_rate": 1e-3, **options}),
        is_frozen=False,
    )


def test_training_lowers_the_loss() -> None:
    losses = tuned(epochs=12, batch_size=8).losses

    assert len(losses) == 12 * 8
    assert losses[-8:].mean() < 0.5 * losses[:2].mean()


def test_training_is_the_same_to_the_last_bit_and_follows_the_seed() -> None:
    here, there, other = tuned(), tuned(), tuned(seed=1)

    assert torch.equal(here.losses, there.losses)
    weights = zip(here.segmenter.parameters(), there.segmenter.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in weights)
    assert not torch.equal(here.losses, other.losses)


def test_training_on_captions_makes_patches_tell_shapes_apart() -> None:
    """As in all eight models of the quickstart at its greatest length; here at half of it."""
    recipe = Recipe(batch_size=64, learning_rate=8e-3, warmup_samples=512, precision="fp32")
    trial = Cosine(
        family="mammut",
        model="tiny-a",
        data=Data(kind="shapes"),
        recipe=recipe,
        samples_seen=32768,
    )
    session = Session(trial, torch.device("cpu"))
    stream = DATASETS.get("shapes").open(DATASETS.get("shapes").options(), seed=0)
    config = FAMILIES.get("mammut").models["tiny-a"]
    for first in range(0, trial.samples_seen, 64):
        samples = stream.read(first, 64, config.image_size)
        tokens = torch.from_numpy(tokenize(samples.captions, config))
        session.step(to_inputs(samples.images, session.device), tokens)
    picture_set = {"kind": "shapes", "content": "masks", "count": 500}

    trained = measured(session.network.eval(), picture_set=picture_set)
    untrained = [
        measured(network_of("mammut", seed=seed), picture_set=picture_set) for seed in range(3)
    ]

    assert trained["mean_iou"] > 1.1 * max(values["mean_iou"] for values in untrained)


def test_rates_rise_in_a_line_and_fall_as_a_power() -> None:
    options = TrainingOptions()

    assert rate_factor(0, 39_153, options) == 0
    assert rate_factor(750, 39_153, options) == 0.5
    assert rate_factor(1500, 39_153, options) == 1
    halfway = 1500 + (39_153 - 1500) // 2
    assert rate_factor(halfway, 39_153, options) == pytest.approx(0.5**0.9, rel=1e-4)
    assert 0 < rate_factor(39_152, 39_153, options) < 1e-3


def test_every_epoch_shows_every_picture_once() -> None:
    masks = [np.full((16, 16), n, np.uint8) for n in range(8)]
    pictures = [Picture(np.zeros((16, 16, 3), np.uint8), mask) for mask in masks]
    batches = Batches(pictures, 16, TrainingOptions(batch_size=4, smallest_scale=1))

    epochs = [
        [set(batches.read(2 * n + k)[1].ravel()) - {IGNORED} for k in (0, 1)] for n in (0, 1)
    ]

    for first, second in epochs:
        assert len(first) == len(second) == 4
        assert first | second == set(range(8))
    assert epochs[0] != epochs[1]


def test_pictures_and_masks_are_changed_together() -> None:
    write = np.arange(24 * 40).reshape(24, 40) * 5 // 960
    picture = Picture(np.stack([write * 40] * 3, axis=2).astype(np.uint8), write.astype(np.uint8))
    plain = TrainingOptions(jitter=0, flip=0.5)

    for seed in range(20):
        image, mask = augmented(picture, 16, plain, np.random.default_rng(seed))
        assert image.shape == (16, 16, 3)
        known = mask != IGNORED
        assert known.any()
        assert not image[~known].any()
        # Interpolation mixes at the four edges between classes.
        assert (np.rint(image[..., 0] / 40) == mask)[known].mean() > 0.7


def test_colours_change_by_no_more_than_is_asked() -> None:
    grey = Picture(np.full((16, 16, 3), 100, np.uint8), np.zeros((16, 16), np.uint8))
    options = TrainingOptions(
        jitter=1, contrast=0, saturation=0, hue=0, smallest_scale=1, largest_scale=1
    )

    values = [
        int(augmented(grey, 16, options, np.random.default_rng(seed)).image[0, 0, 0])
        for seed in range(200)
    ]

    assert 86 <= min(values) < 90
    assert 110 < max(values) <= 113


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"mode": "finetune", "head": "closed_form"}, "for a network that is frozen"),
        ({"training": {"epochs": 3}}, "'training' says nothing here"),
        ({"head": "adamw", "closed_form": {"strengths": [1]}}, "'closed_form' says nothing here"),
        ({"head": "adamw", "training": {"epoch": 3}}, "epoch"),
        ({"set": {"kind": "shapes", "content": "captions", "count": 5}}, "needs a set with masks"),
    ],
)
def test_options_that_make_no_sense_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        Task.parse("t", {"kind": "semantic_segmentation", "set": SHAPES, **how})


def test_too_little_to_learn_from_is_said(tmp_path: Path) -> None:
    network = network_of()
    with pytest.raises(DataError, match="60 pictures to learn from do not fill a batch of 64"):
        measured(network, picture_set=SHAPES, head="adamw", training={"batch_size": 64})
    with pytest.raises(DataError, match="1,500 leave nothing of the 93 steps"):
        measured(network, picture_set=SHAPES, head="adamw")
    with pytest.raises(DataError, match="fewer than two of the pictures"):
        measured(network, picture_set={**SHAPES, "training": 1})
    write_folder(tmp_path / "set")
    nothing = {**FOLDER, "ignore_index": 1, "classes": 3}
    for path in (tmp_path / "set" / "annotations" / "validation").iterdir():
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    with pytest.raises(DataError, match="no pixel of the pictures that are scored"):
        measured(network, tmp_path, picture_set=nothing)


def test_a_loss_that_is_not_finite_is_an_error_and_no_number() -> None:
    with pytest.raises(ScalingError, match="diverged"):
        tuned(learning_rate=1e30, encoder_learning_rate=1e30)


def test_ade20k_is_declared_as_the_study_measured_it() -> None:
    task = CATALOGUE["ade20k"]
    options: Any = task.choices()

    assert options.sizes == (224, 14)
    training = options.training
    assert (training.epochs, training.batch_size, training.warmup_steps) == (31, 16, 1500)
    assert (training.learning_rate, training.encoder_learning_rate) == (1e-4, 1e-5)
    assert task.main_metric == "mean_iou"
    assert CATALOGUE["ade20k_frozen"].choices().is_closed_form  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="ADEChallengeData2016"):
        task.check(Path("/nowhere"))


GRID = """
study: pixels
families: [clip, cap]
models: [tiny-a]
samples_seen: [256]
datasets: {stream: {kind: shapes}}
recipes: [{batch_size: 32, learning_rate: 4e-3, warmup: 64 samples, precision: fp32}]
tasks:
  bands: {kind: semantic_segmentation, set: SET}
  bands_tuned: {kind: semantic_segmentation, set: SET, HOW}
evaluate: [bands, bands_tuned, shapes_segmentation]
evaluation_sets: ROOT
"""


@pytest.mark.slow
def test_grids_measure_segmentation_from_the_command_line(tmp_path: Path) -> None:
    write_folder(tmp_path / "sets" / "set")
    how = json.dumps({**SMALL, "training": QUICK})[1:-1]
    text = GRID.replace("SET", json.dumps(FOLDER)).replace("HOW", how)
    (tmp_path / "grid.yaml").write_text(text.replace("ROOT", str(tmp_path / "sets")))

    def scaling(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "scaling", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    done = scaling("run", "grid.yaml", "--executor", "local", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failed"] == 0
    again = scaling("run", "grid.yaml", "--executor", "local")
    assert "nothing to do" in again.stdout
    (tmp_path / "sets" / "set" / "annotations" / "validation" / "p000.png").unlink()
    missing = scaling("run", "grid.yaml", "--executor", "local", "--db", "other.db")
    assert missing.returncode == 1  # of the trials, each of which says it before it trains
    assert "the label map of p000.jpg is missing" in missing.stderr
    assert "Traceback" not in missing.stderr
