"""Machines that take their resources back: what was done is saved, and goes on from there."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from fake_trainer import METRICS, steps
from forks import Forks
from small_plans import Runs, counts, plan_of
from test_gang import TWO
from test_retries import attempts, failure_of_trunk
from test_stopping import start

from scaling.orchestrator import LocalExecutor
from scaling.store import FailureKind, Retry, Store
from scaling.trial import Stop

TRUNK = [*range(64, 1024 + 1, 64)]
LONG = {"samples_seen": [640, 19200]}
SLICES = 20


def await_steps(directory: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(steps(directory)) < count and time.monotonic() < deadline:
        time.sleep(0.01)


def plan_stops(trial_id: str) -> tuple[Stop, ...]:
    (stops,) = (p.stops for p in plan_of(**LONG).trials if p.trial.id == trial_id)
    return stops


def files_of(runs: Runs, trial_id: str) -> list[Path]:
    """The checkpoints that the store has of a trial, ascending."""
    with Store.read(runs.db) as store:
        return [runs.checkpoints / found.path for found in store.checkpoints(trial_id)]


def last_checkpoint(runs: Runs, trial_id: str) -> int:
    with Store.read(runs.db) as store:
        return store.checkpoints(trial_id)[-1].samples_seen


def test_a_trunk_gets_on_in_each_of_twenty_slices_and_no_step_is_taken_twice(
    tmp_path: Path, here: Runs
) -> None:
    here.run(plan := plan_of(**LONG))
    sliced = Runs(tmp_path / "sliced", LocalExecutor)
    sliced.mischief(trunk={"do": "wait"})
    (trunk,) = (planned.trial.id for planned in plan.trials if "trunk" in planned.trial.id)
    directory = sliced.checkpoints / trunk

    reached = [0]
    with Forks.of(sliced.db, "fake_trainer:train", LONG) as forks:
        for _ in range(SLICES):
            driver = forks.start()
            await_steps(directory, len(steps(directory)) + 2)
            os.kill(driver, signal.SIGTERM)
            assert forks.end() == 130
            reached.append(last_checkpoint(sliced, trunk))
            # Only the latest of those between two stops is kept.
            assert sorted(path.name for path in directory.glob("*.pt")) == sorted(
                path.name for path in files_of(sliced, trunk)
            )
            assert len(files_of(sliced, trunk)) <= 1 + sum(
                stop.samples_seen <= reached[-1] for stop in plan_stops(trunk)
            )

    assert reached == sorted(set(reached))
    assert reached[-1] < plan_stops(trunk)[-1].samples_seen
    (sliced.checkpoints / "mischief.json").unlink()
    assert counts(sliced.run(plan))[2:4] == (0, 0)
    assert steps(directory) == steps(here.checkpoints / trunk)
    assert sliced.results() == here.results()
    assert {outcome for _, outcome, _ in attempts(sliced)} == {"preempted", "done"}
    assert [path.name.split("-")[0] for path in files_of(sliced, trunk)] == [
        str(stop.samples_seen) for stop in plan_stops(trunk)
    ]


@pytest.mark.ray
def test_a_worker_that_is_told_to_stop_saves_and_goes_on_elsewhere(
    on_ray: Runs, here: Runs
) -> None:
    here.run(plan_of())
    on_ray.mischief(trunk={"at": 320, "do": "terminate", "times": 1})

    outcome = on_ray.run(plan_of())

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert on_ray.results() == here.results()
    assert attempts(on_ray)[0][1] == "preempted"
    assert steps(on_ray.directory("trunk")) == TRUNK


def test_a_trial_without_progress_in_three_slices_is_left_out(here: Runs) -> None:
    here.mischief(trunk={"at": 64, "do": "leave"})

    assert counts(here.run(plan_of())) == (0, 0, 1, 2, 0)

    kind, text = failure_of_trunk(here)
    assert kind is FailureKind.PREEMPTED
    assert "preempted 3 times in a row without any progress" in text
    assert counts(here.run(plan_of())) == (0, 0, 1, 2, 0)
    assert len(attempts(here)) == 3
    with Store(here.db) as store:
        assert len(store.retry(Retry(kinds=(FailureKind.PREEMPTED,)))) == 1
    os.unlink(here.checkpoints / "mischief.json")
    assert counts(here.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))


@pytest.mark.slow
def test_processes_that_train_together_leave_after_the_same_step(
    tmp_path: Path, here: Runs
) -> None:
    grid = {
        "schedules": ["cosine"],
        "samples_seen": [3840],
        "recipes": [{"batch_size": 64, "precision": "fp32", "warmup": "64 samples"}],
        "resources": TWO,
    }
    here.run(plan_of(**grid), "scaling.train:train")
    stopped = Runs(tmp_path / "stopped", LocalExecutor)
    driver = start(stopped, "local", "scaling.train:train", json.dumps(grid))
    deadline = time.monotonic() + 60
    while not list(stopped.checkpoints.glob("*/journal-1.jsonl")) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)
    time.sleep(0.2)

    driver.send_signal(signal.SIGTERM)
    _, err = driver.communicate(timeout=60)

    assert driver.returncode == 130, err
    assert [outcome for _, outcome, _ in attempts(stopped)] == ["preempted"]
    with Store.read(stopped.db) as store:
        (trial_id,) = (planned.trial.id for planned in plan_of(**grid).trials)
        (saved,) = store.checkpoints(trial_id)
    assert saved.forced
    assert 0 < saved.samples_seen < 3840
    assert saved.samples_seen % (8 * 64) == 0
    assert counts(stopped.run(plan_of(**grid), "scaling.train:train"))[0] == 1
    assert stopped.results() == here.results()
    with Store.read(stopped.db) as store:
        assert [found.samples_seen for found in store.checkpoints(trial_id)] == [3840]
    assert [path.name for path in stopped.directory("cosine").glob("*.pt")] == [
        "000000003840-2.pt"
    ]
