"""CLIP_benchmark's command line gives an exported checkpoint the numbers of `scaling eval`."""

import io
import json
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from small_sets import write_set

from scaling.cli.app import main
from scaling.datasets._shapes.held_out import CLASS_NAMES, captioned_images, classified_images

pytest.importorskip("clip_benchmark", reason="clip-benchmark is not installed")

MODEL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
GRID = """
study: small
families: [clip]
models: [small-vit.json]
samples_seen: [6400]
datasets: {shapes: {kind: shapes}}
schedules: [cosine]
recipes: [{batch_size: 64, learning_rate: 2e-3, warmup: 640 samples, precision: fp32}]
tasks:
  cars: {kind: zeroshot_classification, set: {kind: webdataset, folder: wds_cars_test}}
  flickr30k:
    kind: zeroshot_retrieval
    set: {kind: webdataset, folder: wds_flickr30k_test, truth: captions}
evaluate: [shapes_retrieval]
evaluation_sets: sets
"""
THEIRS = """
import open_clip
from clip_benchmark.cli import main
from clip_benchmark.metrics import zeroshot_classification

# CLIP_benchmark 1.6.2 takes `float` of an array of one element; numpy 2.4 refuses that.
zeroshot_classification.float = lambda value: value.item() if hasattr(value, "item") else value
open_clip.add_model_config("out")
main()
"""


def encoded(image: NDArray[np.uint8], number: int) -> bytes:
    """A picture of another shape, so that it has to be resized and cut."""
    size = (40 + number % 7, 48 - number % 5)
    buffer = io.BytesIO()
    Image.fromarray(image).resize(size, Image.Resampling.BILINEAR).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial that is trained and exported, and evaluation sets of the embedded pictures."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small-vit.json").write_text(json.dumps(MODEL))
    (folder / "grid.yaml").write_text(GRID)
    images, labels = classified_images(3, 48)
    samples = [
        {"png": encoded(image, n), "cls": str(label).encode()}
        for n, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    write_set(
        folder / "sets" / "wds_cars_test",
        [samples[:170], samples[170:]],
        classes=CLASS_NAMES,
        templates=("a photo of a {c}", "a {c}", "the {c}."),
    )
    scenes, captions, _ = captioned_images(80, 3, 48)
    pairs = [
        {"png": encoded(image, n), "txt": "\n".join(captions[n::80]).encode()}
        for n, image in enumerate(scenes)
    ]
    write_set(folder / "sets" / "wds_flickr30k_test", [pairs], kind="retrieval")
    scaling(folder, "run grid.yaml --executor local")
    scaling(folder, "checkpoints export clip -o out")
    return folder


def scaling(folder: Path, words: str) -> str:
    """What the command prints there."""
    printed = io.StringIO()
    with chdir(folder), redirect_stdout(printed), pytest.raises(SystemExit) as left:
        main(words.split())
    assert not left.value.code
    return printed.getvalue()


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[str, float]:
    """By task and metric, what `clip_benchmark eval` says of `out/epoch_1.pt`."""
    words = (
        "eval --dataset wds/cars wds/flickr30k --dataset_root sets/wds_{dataset_cleaned}_test "
        "--model small-vit --pretrained out/epoch_1.pt --no_amp --num_workers 0 --recall_k 1 5 "
        "--output {dataset}.json --quiet"
    )
    command = [sys.executable, "-c", THEIRS, *words.split()]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    said = {task: json.loads((folder / f"{task}.json").read_text()) for task in TASKS}
    return {
        f"{task} {metric}": value
        for task, its in said.items()
        for metric, value in its["metrics"].items()
    }


TASKS = ("cars", "flickr30k")


def named(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {f"{row['task']} {row['metric']}": row["value"] for row in rows}


@pytest.mark.parametrize("of", ["its trial", "its file"])
def test_the_command_line_gives_the_same_numbers(
    folder: Path, theirs: dict[str, float], of: str
) -> None:
    file = (
        "--checkpoint out/epoch_1.pt --family clip --model small-vit.json --dataset shapes "
        "--samples-seen 6400 --study small"
    )
    words = "eval --task cars --task flickr30k --executor local --json " + (
        file if of == "its file" else ""
    )

    ours = named(json.loads(scaling(folder, words))["results"])

    assert set(ours) == {
        *(f"cars {metric}" for metric in ("acc1", "acc5", "mean_per_class_recall")),
        "flickr30k image_retrieval_recall@5",
        "flickr30k text_retrieval_recall@5",
    }
    assert ours == pytest.approx({name: theirs[name] for name in ours}, rel=0, abs=1e-6)
    # So that the numbers are of a network, and not of chance.
    assert ours["cars acc5"] > 0.1
