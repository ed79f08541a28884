import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scaling.cli.app import main
from scaling.points import Selection, load_points
from scaling.store import (
    Ending,
    Failure,
    FailureKind,
    MeasuringStore,
    RefusedError,
    Store,
    TrialState,
)
from scaling.trial import Measurement

GRID = """
study: small
families: [clip, mammut]
models: [tiny-a]
samples_seen: [128, 256]
datasets: {shapes: {kind: shapes}}
schedules: [const-cooldown]
recipes: [{batch_size: 32, learning_rate: 4e-3, warmup: 64 samples, precision: fp32}]
tasks:
  mine: {kind: zeroshot_retrieval, set: {kind: shapes, content: captions, count: 40}}
  classes: {kind: zeroshot_classification, set: {kind: shapes, content: classes, count: 100}}
evaluate: [classes]
"""
FILE = [
    *("--family", "clip", "--model", "tiny-a"),
    *("--dataset", "shapes", "--schedule", "const-cooldown"),
]

Command = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `scaling run` has trained two families, and exported one."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "grid.yaml").write_text(GRID)
    for words in (
        "run grid.yaml --executor local",
        "checkpoints export clip-tiny-a-cooldown-256 -o out",
        "checkpoints export clip-tiny-a-cooldown-256 -o hub --format safetensors",
    ):
        command = [sys.executable, "-m", "scaling", *words.split()]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the test works."""
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    # It says where the checkpoints of the original are.
    (copy / "results.status.json").unlink(missing_ok=True)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def scaling(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command there; gives what it prints, or what it says where a code is expected."""

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(list(map(str, words)))
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    return run


@pytest.fixture
def measured(scaling: Command) -> Callable[..., dict[str, Any]]:
    """`scaling eval` in this process, as JSON."""

    def evaluate(*words: object) -> dict[str, Any]:
        found = json.loads(scaling("eval", "--executor", "local", "--json", *words))
        assert isinstance(found, dict)
        return found

    return evaluate


Measure = Callable[..., dict[str, Any]]


def rows(query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect("results.db") as connection:
        return connection.execute(query).fetchall()


def values_of(task: str) -> dict[str, float]:
    query = f"select trial_id, metric, value from measurement where task = '{task}'"
    return {f"{trial} {metric}": value for trial, metric, value in rows(query)}


def test_finds_to_the_last_bit_what_training_finds(
    folder: Path, scaling: Command, measured: Measure
) -> None:
    found = measured("--task", "mine")

    later = {f"{row['trial']} {row['metric']}": row["value"] for row in found["results"]}
    assert found["done"] == 4
    assert len(later) == found["measurements"] == 8
    (folder / "results.db").unlink()
    Path("grid.yaml").write_text(GRID.replace("evaluate: [classes]", "evaluate: [mine]"))
    scaling("run", "grid.yaml", "--executor", "local")
    assert values_of("mine") == later


def test_what_is_measured_is_not_measured_again(measured: Measure) -> None:
    first = measured("--task", "mine", "--trial", "clip-*-256-*")

    again = measured("--task", "mine", "--task", "classes")

    assert first["done"] == 1
    assert (again["done"], again["already_done"], again["measurements"]) == (3, 1, 6)
    assert [row for row in again["results"] if row in first["results"]] == first["results"]
    assert len(rows("select * from attempt where number = 3")) == 0


@pytest.mark.ray
def test_checkpoints_are_measured_side_by_side(scaling: Command) -> None:
    found = json.loads(scaling("eval", "--task", "mine", "--slots", "2", "--json"))

    assert (found["done"], found["measurements"]) == (4, 8)
    assert rows("select distinct state from trial") == [("complete",)]


def test_a_grid_that_asks_for_it_later_finds_it_measured(
    scaling: Command, measured: Measure
) -> None:
    measured("--task", "mine")
    Path("grid.yaml").write_text(GRID.replace("evaluate: [classes]", "evaluate: [classes, mine]"))

    said = scaling("run", "grid.yaml", "--executor", "local")

    assert "nothing to do" in said


def test_states_of_trials_stay_as_they_are(measured: Measure) -> None:
    failure = Failure(FailureKind.BUG, "something else")
    trials = sorted(trial for (trial,) in rows("select id from trial where id like '%cooldown%'"))
    with Store(Path("results.db")) as store:
        store.set_states(trials[:1], TrialState.FAILED, failure)
        store.set_states(trials[1:2], TrialState.PENDING)

    measured("--task", "mine")

    with Store.read(Path("results.db")) as reader:
        there = reader.recorded(trials)
    assert [there[trial].state for trial in trials] == [
        "failed",
        "pending",
        "complete",
        "complete",
    ]
    assert there[trials[0]].failure == failure


def test_a_task_that_fails_fails_no_trial(scaling: Command) -> None:
    (path,) = Path("results.checkpoints").glob("clip-tiny-a-cooldown-128-*/*.pt")
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    said = scaling("eval", "--task", "mine", "--executor", "local", code=1)

    assert "not the file that was saved" in said
    assert len(values_of("mine")) == 6
    assert rows("select distinct state from trial") == [("complete",)]


def test_checkpoints_that_are_gone_are_named(scaling: Command) -> None:
    paths = sorted(Path("results.checkpoints").glob("*cooldown*/*.pt"))
    paths[0].unlink()
    said = scaling("eval", "--task", "mine", "--executor", "local", code=1)
    assert "not there any more" in said
    assert paths[0].name in said
    assert len(values_of("mine")) == 6
    for path in paths[1:]:
        path.unlink()

    said = scaling("eval", "--task", "mine", code=2)

    assert said.count("\n") == 1
    assert "not there any more" in said


def test_branch_points_are_measured_if_asked_for(measured: Measure) -> None:
    found = measured("--task", "mine", "--every-checkpoint", "--trial", "clip-tiny-a-trunk")

    assert {row["samples_seen"] for row in found["results"]} == {96, 192}


def test_a_killed_evaluation_goes_on(folder: Path, measured: Measure) -> None:
    command = [sys.executable, "-m", "scaling", "eval", "--task", "mine", "--executor", "local"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "running" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()

    found = measured("--task", "mine")

    assert len(found["results"]) == 8
    assert rows("select outcome from attempt where number = 2 order by started limit 1") == [
        ("lost",)
    ]
    assert rows("select distinct state from trial") == [("complete",)]


def test_an_attempt_that_is_stale_records_nothing(folder: Path) -> None:
    ((trial,),) = rows("select id from trial where id like 'clip-tiny-a-cooldown-128%'")
    number = Measurement(trial_id=trial, samples_seen=128, task="mine", metric="acc1", value=0.5)
    with MeasuringStore(folder / "results.db") as store:
        earlier, later = store.start_attempt(trial), store.start_attempt(trial)

        with pytest.raises(RefusedError, match="is stale"):
            store.record(trial, earlier, [number])
        store.finish(trial, later, Ending("done", TrialState.FAILED), [number])

        assert store.state(trial) is TrialState.COMPLETE


def test_a_file_gives_the_numbers_of_the_checkpoint_that_it_was_made_of(
    measured: Measure,
) -> None:
    own = measured("--task", "shapes_retrieval", "--trial", "clip-tiny-a-cooldown-256")["results"]
    state = torch.load("out/epoch_1.pt", weights_only=True)
    weights = {f"module.{name}": tensor for name, tensor in state["state_dict"].items()}
    torch.save({"epoch": 1, "state_dict": weights, "optimizer": {"state": {}}}, "epoch_2.pt")

    for number, file in enumerate(("epoch_2.pt", "hub/open_clip_model.safetensors")):
        study = f"study{number}"
        words = ("--checkpoint", file, *FILE, "--samples-seen", "256", "--study", study)
        found = measured("--task", "shapes_retrieval", *words)
        assert [row["value"] for row in found["results"]] == [row["value"] for row in own]


def test_a_file_stands_beside_own_trials_and_stays_there(
    scaling: Command, measured: Measure
) -> None:
    words = ("--checkpoint", "out/epoch_1.pt", *FILE, "--samples-seen", "1K", "--study", "small")

    found = measured("--task", "classes", *words)
    again = measured("--task", "classes", *words)
    scaling("run", "grid.yaml", "--executor", "local")

    assert (found["done"], again["done"], again["measurements"]) == (1, 0, 0)
    table, _ = load_points(Path("results.db"), Selection(study="small", task="classes"))
    foreign = table[table["samples_seen"] == 1000]
    own = table[table["family"] == "clip"].iloc[0]
    assert len(foreign) == 1
    assert foreign["params"].item() == own["params"]
    per_sample = own["compute_gflops"] / own["samples_seen"]
    assert foreign["compute_gflops"].item() == pytest.approx(1000 * per_sample)
    ((source, identity, state),) = rows(
        "select source, identity, state from trial where kind = 'imported'"
    )
    assert (Path(source).name, state) == ("epoch_1.pt", "imported")
    said = json.loads(identity)
    assert said["samples_seen"] == 1000
    assert said["preprocessing"]["framing"] == {"resize": "shortest", "interpolation": "bicubic"}


def test_a_study_may_begin_with_files_and_get_its_grid_later(
    scaling: Command, measured: Measure
) -> None:
    words = ("--checkpoint", "out/epoch_1.pt", *FILE, "--samples-seen", "1K", "--study", "later")
    measured("--task", "shapes_retrieval", *words)
    Path("grid.yaml").write_text(GRID.replace("study: small", "study: later"))

    scaling("run", "grid.yaml", "--executor", "local")
    found = measured("--task", "classes", *words)

    assert found["done"] == 1
    assert rows("select source from study where name = 'later'") == [("grid",)]
    assert len(load_points(Path("results.db"), Selection(study="later", task="classes"))[0]) == 5


def test_one_file_is_not_two_checkpoints(scaling: Command, measured: Measure) -> None:
    words = ("eval", "--task", "mine", "--study", "small", "--checkpoint", "out/epoch_1.pt", *FILE)
    measured(*words[1:], "--samples-seen", "1K")

    said = scaling(*words, "--samples-seen", "2K", code=2)
    other = scaling(*words, "--samples-seen", "1K", "--resize", "squash", code=2)

    assert "samples_seen was 1000, and is 2000 now" in said
    assert "squash" in other
    assert len(rows("select id from trial where kind = 'imported'")) == 1


def test_epochs_say_how_many_samples_were_seen(measured: Measure) -> None:
    state = torch.load("out/epoch_1.pt", weights_only=True)
    for epoch in (2, 10):
        torch.save({**state, "epoch": epoch}, f"out/epoch_{epoch}.pt")

    words = ("--checkpoint", "out/epoch_*.pt", *FILE, "--samples-per-epoch", "1.28M")
    found = measured("--task", "shapes_retrieval", *words, "--db", "new.db")

    assert found["done"] == 3
    assert [row["samples_seen"] for row in found["results"][::2]] == [1280000, 2560000, 12800000]


ERRORS = [
    ("--task shaped_retrieval", "did you mean 'shapes_retrieval'?"),
    ("--task shapes_generative_classification", "which clip does not give; say --family mammut"),
    ("--task mine --trial clop", "unknown trial 'clop'"),
    ("--task mine --family mamut", "did you mean 'mammut'?"),
    ("--task mine --samples-seen 300", "nothing is at 300; there is 128, 256"),
    ("--task mine --samples-seen many", "'many' is not a count"),
    ("--task mine --study smal", "did you mean 'small'?"),
    ("--task mine --dataset shapes", "--dataset: only of files that --checkpoint names"),
    ("--task mine --trial clip-tiny-a-trunk", "--every-checkpoint"),
    ("--task mine --db none.db", "no store at none.db"),
]
OF_FILES = [
    ("", "give --family, --model, --dataset, --samples-seen"),
    ("--trial x", "--trial: only of a study's own checkpoints"),
    (f"{' '.join(FILE)} --samples-seen 1K --samples-per-epoch 1K", "instead"),
    (f"{' '.join(FILE)} --samples-seen 1K --mean 3", "is not a number from 0 to 1"),
    (f"{' '.join(FILE)} --samples-seen 1K --std 0", "cannot be 0"),
    (f"{' '.join(FILE)} --samples-seen 1K --study a/b", "is no name"),
    ("--family clip --model tiny-b --dataset x --samples-seen 1K", "they fit clip tiny-a"),
    ("--family clip --model tiny-z --dataset x --samples-seen 1K", "unknown model of clip"),
    ("--family clap --model tiny-a --dataset x --samples-seen 1K", "did you mean"),
]


@pytest.mark.parametrize(("words", "expected"), ERRORS)
def test_mistakes_are_one_message(scaling: Command, words: str, expected: str) -> None:
    said = scaling("eval", *words.split(), code=2)

    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert expected in said


@pytest.mark.parametrize(("words", "expected"), OF_FILES)
def test_mistakes_about_files_leave_nothing_behind(
    scaling: Command, words: str, expected: str
) -> None:
    file = ("--checkpoint", "out/epoch_1.pt", "--db", "new.db", "--task", "shapes_retrieval")

    said = scaling("eval", *file, *words.split(), code=2)

    assert expected in said
    assert not Path("new.db").exists()


@pytest.mark.parametrize(
    ("file", "expected"),
    [("none.pt", "no such file"), ("none_*.pt", "no such file"), ("out", "is a folder")],
)
def test_a_file_that_is_none_is_named(scaling: Command, file: str, expected: str) -> None:
    words = ("--task", "shapes_retrieval", "--checkpoint", file, *FILE, "--samples-seen", "1K")

    said = scaling("eval", *words, "--db", "new.db", code=2)

    assert f"{file}: " in said
    assert expected in said


def test_a_set_that_is_missing_is_found_missing_before_anything_starts(scaling: Command) -> None:
    text = GRID.replace(
        "tasks:\n",
        "tasks:\n  far: {kind: zeroshot_classification, set: {kind: "
        "webdataset, folder: wds_far_test}}\n",
    )
    Path("grid.yaml").write_text(text)
    scaling("run", "grid.yaml", "--executor", "local")

    said = scaling("eval", "--task", "far", "--evaluation-sets", os.getcwd(), code=2)

    assert "far: " in said
    assert "wds_far_test" in said
    assert not rows("select * from attempt where number > 1")
