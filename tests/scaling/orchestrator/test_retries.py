"""Failures that are tried again: memory, hangs, and what people ask for."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fake_trainer import METRICS, steps
from small_plans import Runs, counts, plan_of
from typer.testing import CliRunner

from scaling.cli.app import app
from scaling.errors import StoreError
from scaling.orchestrator import verdicts
from scaling.orchestrator.stalls import Watch
from scaling.store import FailureKind, Retry, Store
from scaling.trial import Checkpoint, Progress


def attempts(runs: Runs) -> list[tuple[str, str, int]]:
    """The kind of trial, how it ended and how many rows it computed at once, of each attempt."""
    query = """SELECT kind, outcome, versions FROM attempt JOIN trial ON trial.id = trial_id
        ORDER BY attempt.rowid"""
    with closing(sqlite3.connect(runs.db)) as connection:
        return [(k, o, json.loads(v)["rows"]) for k, o, v in connection.execute(query)]


def failure_of_trunk(runs: Runs) -> tuple[FailureKind, str]:
    with Store.read(runs.db) as store:
        (trunk,) = (i.trial.id for i in plan_of().trials if "trunk" in i.trial.id)
        failure = store.recorded([trunk])[trunk].failure
    assert failure
    return failure.kind, failure.text


@pytest.mark.parametrize("at", [64, 768], ids=["at the first step", "after a checkpoint"])
def test_less_is_computed_at_once_after_memory_was_exceeded(runs: Runs, at: int) -> None:
    runs.mischief(trunk={"at": at, "do": "hold 16"})

    outcome = runs.run(plan_of())

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    trunk = [(outcome, rows) for kind, outcome, rows in attempts(runs) if kind == "trunk"]
    assert trunk == [("oom", 64), ("oom", 32), ("done", 16)]
    assert steps(runs.directory("trunk")).count(512) == 1 if at > 512 else 3


def test_less_is_computed_at_once_after_an_evaluation_exceeded_the_memory(here: Runs) -> None:
    here.mischief(**{"cooldown-640": {"at": 640, "metric": "acc5", "do": "hold 16"}})

    outcome = here.run(plan_of())

    # The checkpoint was there: nothing is trained again, and half of a task is no measurement.
    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    cooldowns = [(ended, rows) for kind, ended, rows in attempts(here) if kind == "cooldown"]
    assert [ended for ended in cooldowns if ended[0] == "oom"] == [("oom", 64), ("oom", 32)]
    assert steps(here.directory("cooldown-640")) == [576, 640]


def test_later_trials_of_the_model_start_with_what_fits(here: Runs) -> None:
    here.mischief(trunk={"at": 64, "do": "hold 16"})
    here.run(plan_of())

    here.run(plan_of(seeds=[0, 1], families=["clip", "mammut"]))

    rows = attempts(here)
    assert [found[1:] for found in rows if found[1] == "oom"] == [("oom", 64), ("oom", 32)] * 2
    # Cooldowns of the first trunk, and everything of the second seed: 2 + 3; and once more.
    assert sum(found[1:] == ("done", 16) for found in rows) == 2 * 6
    notes = [event.text for event in here.show.found if hasattr(event, "text")]
    assert "micro-batches of 16: more rows have exceeded the memory of cpu" in notes


def test_a_single_row_that_does_not_fit_is_final(here: Runs) -> None:
    here.mischief(trunk={"at": 64, "do": "hold 0"})

    assert counts(here.run(plan_of())) == (0, 0, 1, 2, 0)

    assert [rows for _, _, rows in attempts(here)] == [64, 32, 16, 8, 4, 2, 1]
    kind, text = failure_of_trunk(here)
    assert kind is FailureKind.OOM
    assert "CUDA out of memory" in text
    assert counts(here.run(plan_of())) == (0, 0, 1, 2, 0)
    (here.checkpoints / "mischief.json").unlink()
    with Store(here.db) as store:
        store.retry(Retry(kinds=(FailureKind.OOM,)))
    assert counts(here.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))
    assert attempts(here)[-1][2] == 64


@pytest.mark.ray
def test_a_trial_that_hangs_is_ended_with_its_stacks_and_goes_on(
    on_ray: Runs, here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_BACKOFF_SECONDS", 0.01)
    here.run(plan_of())
    on_ray.mischief(trunk={"at": 768, "do": "hang", "times": 1})

    outcome = on_ray.run(plan_of(), stall_seconds=1)

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert on_ray.results() == here.results()
    assert steps(on_ray.directory("trunk")).count(512) == 1
    (log,) = on_ray.directory("trunk").glob("attempt-1.log")
    assert 'fake_trainer.py", line' in log.read_text()
    assert "in misbehave" in log.read_text()
    # The process lives, and so does the thread through which its actor answers Ray.
    (note,) = (note for _, _, note in on_ray.show.told if note.startswith("hung: "))
    silent = re.match(r"hung: no progress for (\d+) s while training; again in", note)
    assert silent
    assert int(silent[1]) < 10


@pytest.mark.ray
def test_a_trial_that_hangs_again_and_again_fails(
    on_ray: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_BACKOFF_SECONDS", 0.01)
    on_ray.mischief(trunk={"at": 128, "do": "hang"})

    outcome = on_ray.run(plan_of(), stall_seconds=1)

    assert counts(outcome) == (0, 0, 1, 2, 0)
    kind, text = failure_of_trunk(on_ray)
    assert kind is FailureKind.HANG
    assert "hung 3 times, at last: no progress for" in text


@pytest.mark.slow
def test_all_processes_that_train_together_write_their_stacks(
    here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_BACKOFF_SECONDS", 0.01)
    grid = {
        "schedules": ["cosine"],
        "samples_seen": [7680],
        "recipes": [{"batch_size": 64, "precision": "fp32", "warmup": "64 samples"}],
        "resources": {"default": {"gpus": 0, "processes": 2}},
    }

    outcome = here.run(plan_of(**grid), "gang_trainer:stall", stall_seconds=3)

    assert outcome.done == 1
    assert [ended for _, ended, _ in attempts(here)] == ["hung", "done"]
    directory = here.directory("cosine")
    assert "gang_trainer.py" in (directory / "attempt-1-rank-1.log").read_text()
    assert "Timeout" in (directory / "attempt-1.log").read_text()


def test_each_phase_may_be_silent_for_its_own_time() -> None:
    now = 0.0
    watch = Watch(10, clock=lambda: now)

    def progress(phase: str) -> Progress:
        return Progress(
            trial_id="a", samples_seen=1, loss=1.0, samples_per_second=1.0, phase=phase
        )  # type: ignore[arg-type]

    assert watch.limit == 30  # Importing, reading, compiling.
    watch.heard([progress("train")])
    assert watch.limit == 10
    for _ in range(3):
        now += 3.0
        watch.heard([progress("train")])
    assert watch.limit == 60  # 20 of the usual steps.
    watch.heard([progress("save")])
    assert watch.limit >= 30
    watch.heard([progress("evaluate")])
    assert watch.limit == 120
    watch.heard([Checkpoint(trial_id="a", samples_seen=1, path=Path(), sha256="", bytes=1)])
    assert watch.phase == "start"
    now = 1000.0
    assert watch.is_over


def test_a_lack_of_room_is_tried_again_and_blocks_nothing_meanwhile(
    here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_SECONDS_FOR_ROOM", 0.05)
    here.mischief(trunk={"at": 768, "do": "fill", "times": 2})

    assert counts(here.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))

    trunk = [outcome for kind, outcome, _ in attempts(here) if kind == "trunk"]
    assert trunk == ["no-room", "no-room", "done"]
    assert not [told for told in here.show.told if told[1] == "blocked"]
    assert all("No space left on device" in why for why in here.show.waited[::2])
    assert here.show.waited[1::2] == ["", ""]


def test_a_trial_that_never_finds_room_fails_until_the_next_run(
    here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_SECONDS_FOR_ROOM", 0.01)
    here.mischief(trunk={"at": 768, "do": "fill", "times": 1 + verdicts.LACKS_OF_ROOM})

    assert counts(here.run(plan_of())) == (1, 0, 1, 1, len(METRICS))
    assert failure_of_trunk(here)[0] is FailureKind.NO_ROOM

    assert counts(here.run(plan_of())) == (2, 1, 0, 0, len(METRICS))


@pytest.fixture
def failed(here: Runs) -> Runs:
    """A trunk that failed of a bug, its cooldowns, and another that diverged."""
    here.mischief(
        **{
            "clip-tiny-a-trunk": {"at": 64, "do": "raise", "times": 1},
            "mammut-tiny-a-trunk": {"at": 64, "do": "diverge", "times": 1},
        }
    )
    here.run(plan_of(families=["clip", "mammut"]))
    return here


@pytest.mark.parametrize(
    ("words", "marked"),
    [
        ("", ["clip"]),
        ("--state diverged", ["mammut"]),
        ("--state failed --class diverged", ["mammut"]),
        ("--class bug --class diverged", ["clip", "mammut"]),
        ("--trial clip", ["clip"]),
        ("--class oom", []),
        ("--study small --trial mammut --class diverged", ["mammut"]),
    ],
)
def test_failed_trials_are_marked_for_another_chance(
    failed: Runs, words: str, marked: list[str]
) -> None:
    command = ["retry", "--db", str(failed.db), "--json", *words.split()]

    result = CliRunner().invoke(app, command)

    assert result.exit_code == (0 if marked else 1), result.output
    trials = json.loads(result.stdout)["marked"]
    assert [trial.split("-")[0] for trial in trials] == marked
    outcome = failed.run(plan_of(families=["clip", "mammut"]))
    assert outcome.done == 3 * len(marked)


def test_a_retry_that_cannot_be_is_an_error(failed: Runs) -> None:
    def error_of(*words: str) -> str:
        result = CliRunner().invoke(app, ["retry", "--db", str(failed.db), *words])
        assert isinstance(result.exception, StoreError)
        return str(result.exception)

    assert "unknown study 'smal'; did you mean 'small'?" in error_of("--study", "smal")
    assert "unknown trial 'nobody'" in error_of("--trial", "nobody")
    with Store(failed.db):
        assert "is being written by" in error_of()
