"""`scaling run` measures tasks on shards of every layout, and says what is wrong with them."""

import io
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
import yaml
from PIL import Image

from scaling.cli.app import main
from scaling.evals._catalogue import CATALOGUE
from scaling.evaluation_sets import EVALUATION_SETS, Batch, Examples
from scaling.evaluation_sets._batches import joined
from scaling.families import FAMILIES
from scaling.store import Store

SIZE = FAMILIES.get("mammut").models["tiny-a"].image_size
SAME = {
    "classes": "shapes_classification",
    "captions": "shapes_retrieval",
}
"""Tasks on the same pictures, which need no shards."""


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def npy(row: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, row)
    return buffer.getvalue()


def examples_of(task: str) -> tuple[Examples, Batch]:
    """The embedded set of a task, and all of it."""
    options = CATALOGUE[task].choices()
    choice: Any = getattr(options, "picture_set")  # noqa: B009
    examples = EVALUATION_SETS.get("shapes").open(choice.of_kind(), None)
    return examples, joined(list(examples.batches(SIZE)))


def write_set(
    folder: Path, images: np.ndarray, suffix: str, truths: Sequence[bytes], examples: Examples
) -> None:
    """Three shards of these pictures, what is true of them under `suffix`."""
    (folder / "test").mkdir(parents=True)
    (folder / "test" / "nshards.txt").write_text("3")
    if examples.class_names:
        (folder / "classnames.txt").write_text("\n".join(examples.class_names))
        templates = "\n".join(examples.templates)
        (folder / "zeroshot_classification_templates.txt").write_text(templates)
    for shard, rows in enumerate(np.array_split(np.arange(len(images)), 3)):
        with webdataset.TarWriter(str(folder / "test" / f"{shard}.tar"), encoder=False) as writer:
            for row in rows:
                sample = {"__key__": f"{row:05d}", "png": png(images[row]), suffix: truths[row]}
                writer.write(sample)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets of every layout, of the embedded study's pictures."""
    folder = tmp_path_factory.mktemp("sets")
    examples, classified = examples_of("shapes_classification")
    labels = classified.labels
    assert labels is not None
    write_set(
        folder / "wds_classes_test",
        classified.images,
        "cls",
        [str(label).encode() for label in labels],
        examples,
    )
    shown = np.eye(len(examples.class_names), dtype=np.int64)[labels]
    write_set(
        folder / "wds_multilabel_test",
        classified.images[:300],
        "npy",
        [*map(npy, shown)],
        examples,
    )
    (folder / "wds_multilabel_test" / "dataset_type.txt").write_text("multilabel")
    examples, captioned = examples_of("shapes_retrieval")
    texts = ["\n".join(own).encode() for own in captioned.captions or ()]
    write_set(folder / "wds_captions_test", captioned.images, "txt", texts, examples)
    (folder / "wds_captions_test" / "dataset_type.txt").write_text("retrieval\n")
    return folder


def write_grid(folder: Path, sets: Path, tasks: dict[str, Any], **more: object) -> str:
    grid = {
        "study": "sets",
        "families": ["mammut"],
        "models": ["tiny-a"],
        "samples_seen": [256],
        "datasets": {"shapes": {"kind": "shapes"}},
        "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "64 samples"}],
        "tasks": {name: task for name, task in tasks.items() if task},
        "evaluate": list(tasks),
        "evaluation_sets": str(sets),
        **more,
    }
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid))
    return str(folder / "grid.yaml")


def run(grid: str) -> int:
    """Exit status of `scaling run`."""
    with pytest.raises(SystemExit) as left:
        main(["run", grid, "--db", str(Path(grid).parent / "results.db"), "--executor", "local"])
    assert isinstance(left.value.code, int)
    return left.value.code


def points(grid: str) -> dict[tuple[str, str], dict[str, Any]]:
    with Store.read(Path(grid).parent / "results.db") as store:
        return {(row["task"], row["metric"]): row for row in store.points()}


def on(folder: str, kind: str = "zeroshot_classification", **options: str) -> dict[str, Any]:
    return {"kind": kind, "set": {"kind": "webdataset", "folder": folder, **options}}


def test_pictures_in_shards_give_the_numbers_that_they_give_without(
    tmp_path: Path, sets: Path
) -> None:
    grid = write_grid(
        tmp_path,
        sets,
        {
            "classes": on("wds_classes_test"),
            "captions": on("wds_captions_test", "zeroshot_retrieval", truth="captions"),
            "several": on("wds_multilabel_test", truth="multilabel"),
            **{name: None for name in SAME.values()},
        },
    )

    assert run(grid) == 0

    found = points(grid)
    for task, same in SAME.items():
        for metric in CATALOGUE[same].metrics:
            assert found[task, metric]["value"] == found[same, metric]["value"]
            assert found[task, metric]["evaluation_set"].startswith("webdataset-")
            assert found[task, metric]["skipped_images"] == 0
    # Each class is shown by three pictures of 300; chance is near a hundredth.
    assert 0.01 < found["several", "mean_average_precision"]["value"] < 0.5
    assert len({row["evaluation_set"] for row in found.values()}) == 5


def spoil(sets: Path, folder: Path) -> Path:
    """A copy of a set whose picture 00005 does not decode."""
    source = sets / "wds_multilabel_test"
    target = folder / "sets" / source.name
    for path in source.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "0.tar":
                content = content.replace(b"IHDR", b"IHDX", 6).replace(b"IHDX", b"IHDR", 5)
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(content)
    return folder / "sets"


def test_a_picture_that_does_not_decode_fails_the_trial_which_is_measured_once_it_does(
    tmp_path: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = spoil(sets, tmp_path)
    tasks = {"several": on("wds_multilabel_test", truth="multilabel")}
    grid = write_grid(tmp_path, spoilt, tasks)

    assert run(grid) == 1

    said = capsys.readouterr()
    assert "0.tar: 00005: the picture does not decode" in said.out + said.err
    assert "Traceback" not in said.out + said.err
    (kept,) = (tmp_path / "results.checkpoints").rglob("*.pt")
    saved_at = kept.stat().st_mtime_ns

    assert run(write_grid(tmp_path, sets, tasks)) == 0
    assert points(grid)["several", "mean_average_precision"]["skipped_images"] == 0
    assert kept.stat().st_mtime_ns == saved_at


def test_a_picture_that_does_not_decode_may_be_left_out_and_is_counted(
    tmp_path: Path, sets: Path
) -> None:
    tasks = {"several": on("wds_multilabel_test", truth="multilabel")}
    grid = write_grid(tmp_path, spoil(sets, tmp_path), tasks, broken_images="skip")

    assert run(grid) == 0

    (row,) = points(grid).values()
    assert row["skipped_images"] == 1
    with closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        ((versions,),) = connection.execute("SELECT versions FROM attempt").fetchall()
    note = "several: pictures left out, as they do not decode: 1"
    assert json.loads(versions)["notes"] == [note]


def test_a_set_that_is_not_there_is_said_before_anything_is_trained(
    tmp_path: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(tmp_path, sets, {"classes": on("wds_clases_test")})

    with pytest.raises(SystemExit, match="2"):
        main(["plan", grid, "--check"])
    said = capsys.readouterr()
    assert "evaluate.classes" in said.out + said.err
    assert "did you mean 'wds_classes_test'" in said.out + said.err

    assert run(grid) == 1
    assert "did you mean 'wds_classes_test'" in capsys.readouterr().err
    assert not list((tmp_path / "results.checkpoints").rglob("*.pt"))
