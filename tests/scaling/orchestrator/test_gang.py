"""Trials that several processes of this machine train together."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from fake_trainer import METRICS, steps
from small_plans import Runs, counts, plan_of

from scaling.errors import ResourceError
from scaling.orchestrator import LocalExecutor, local, verdicts
from scaling.storage.scratch import scratch_folder
from scaling.store import FailureKind, Store

TWO = {"default": {"gpus": 0, "processes": 2}}
TRAINER = "gang_trainer:train"
ONE_TRIAL = {"schedules": ["cosine"], "samples_seen": [640]}


def saw(runs: Runs) -> set[str]:
    """Rank, number of processes and visible GPUs of each process that there was."""
    return {path.name for path in runs.checkpoints.glob("saw-*")}


def order(runs: Runs, **ranks: str) -> None:
    """What each process is to do, once."""
    path = runs.checkpoints / "ranks.json"
    path.write_text(json.dumps({rank[1:]: what for rank, what in ranks.items()}))


def test_processes_train_a_trial_together(here: Runs) -> None:
    outcome = here.run(plan_of(resources=TWO), TRAINER)

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert saw(here) == {"saw-0-of-2-", "saw-1-of-2-"}


def test_what_the_gang_of_a_killed_driver_left_is_deleted_by_the_next(
    here: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    left = scratch_folder(None) / "gang-of-a-killed-driver"
    left.mkdir(parents=True)
    (left / "meeting").touch()
    os.utime(left, (0, 0))

    here.run(plan_of(resources=TWO, **ONE_TRIAL), TRAINER)

    assert [*scratch_folder(None).iterdir()] == []


def test_each_process_sees_one_gpu_of_those_that_the_driver_sees(
    here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_gpus", lambda: ["2", "5", "7"])

    here.run(plan_of(**ONE_TRIAL, resources={"default": {"gpus": 2}}), TRAINER)

    assert saw(here) == {"saw-0-of-2-2", "saw-1-of-2-5"}


def test_more_gpus_than_there_are_is_refused_before_anything_starts(
    here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_gpus", lambda: ["0", "1"])

    with pytest.raises(ResourceError, match="asks for 4 GPUs; this machine has 2"):
        here.run(plan_of(resources={"default": {"gpus": 4}}), TRAINER)

    assert here.show.told == []


def test_without_gpus_a_trial_for_several_runs_in_this_process(
    here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_gpus", list)

    outcome = here.run(plan_of(**ONE_TRIAL, resources={"default": {"gpus": 4}}))

    assert counts(outcome)[0] == 1


def test_the_failure_of_one_is_told_and_the_others_end(here: Runs) -> None:
    order(here, _1="raise")

    outcome = here.run(plan := plan_of(**ONE_TRIAL, resources=TWO), TRAINER)

    assert counts(outcome)[2] == 1
    with Store.read(here.db) as store:
        (found,) = store.recorded([planned.trial.id for planned in plan.trials]).values()
    log = here.directory("cosine") / "attempt-1-rank-1.log"
    assert found.failure is not None
    assert found.failure.kind is FailureKind.BUG
    assert found.failure.text == (
        f"process 1 of 2: ValueError: a bug in the trainer (traceback: {log})"
    )
    assert 'raise ValueError("a bug in the trainer")' in log.read_text()


def test_after_one_was_killed_the_trial_goes_on(
    here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_BACKOFF_SECONDS", 0.01)
    order(here, _1="kill")

    outcome = here.run(plan_of(**ONE_TRIAL, resources=TWO), TRAINER)

    assert counts(outcome) == (1, 0, 0, 0, len(METRICS))
    directory = here.directory("cosine")
    assert "process 1 of 2 ended with exit code -9" in (directory / "attempt-1.log").read_text()
    assert steps(directory)[-1] == 640


def test_a_batch_that_does_not_divide_is_refused_before_anything_starts(here: Runs) -> None:
    plan = plan_of(resources={"default": {"gpus": 0, "processes": 3}})

    with pytest.raises(ResourceError, match="batch_size 64 does not divide among 3 processes"):
        here.run(plan, TRAINER)

    assert here.show.told == []


def test_two_processes_measure_what_one_measures(tmp_path: Path) -> None:
    options = {
        **ONE_TRIAL,
        "recipes": [{"batch_size": 64, "precision": "fp32", "warmup": "64 samples"}],
    }
    alone, two = Runs(tmp_path / "1", LocalExecutor), Runs(tmp_path / "2", LocalExecutor)

    alone.run(plan_of(**options), "scaling.train:train")
    outcome = two.run(plan_of(**options, resources=TWO), "scaling.train:train")

    assert counts(outcome)[0] == 1
    assert [row[:-1] for row in two.results()] == [row[:-1] for row in alone.results()]
    for here, there in zip(two.results(), alone.results(), strict=True):
        assert here[-1] == pytest.approx(there[-1], rel=1e-3, abs=2e-3)
