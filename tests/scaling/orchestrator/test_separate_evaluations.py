"""`evaluate_on: separate`: checkpoints are measured by attempts of their own."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_trainer import METRICS, steps
from small_plans import Runs, counts, plan_of
from test_halving import HALVED
from test_stopping import await_line, start, started_by, stopped

from scaling.errors import GridError, ResourceError
from scaling.orchestrator import Budget, LocalExecutor, verdicts
from scaling.orchestrator.phases import phases
from scaling.orchestrator.remaining import Remaining
from scaling.orchestrator.worker import TRAINER
from scaling.plan import Resources
from scaling.store import FailureKind, Store, TrialState
from scaling.trial import Execution, Stop

__all__ = ["stopped"]

SEPARATE: dict[str, Any] = {"evaluate_on": "separate"}
CONST: dict[str, Any] = {**SEPARATE, "schedules": ["const"], "samples_seen": [640, 1280]}
"""One trunk that is measured at two stops."""


def outcomes(runs: Runs) -> dict[str, list[str]]:
    """How the attempts at each trial ended, by kind of trial."""
    with Store(runs.db) as store, store.writing() as connection:
        rows = connection.exec_driver_sql(
            "SELECT trial_id, outcome FROM attempt ORDER BY trial_id, number"
        )
        found: dict[str, list[str]] = {}
        for trial_id, outcome in rows:
            found.setdefault(trial_id, []).append(outcome)
    return found


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_training_and_measuring_are_attempts_of_their_own(
    runs: Runs,
) -> None:
    outcome = runs.run(plan_of(**SEPARATE))

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert outcome.exit_code == 0
    found = outcomes(runs)
    # A trunk that nobody measures has nothing to do but to be trained.
    trunk = next(trial_id for trial_id in found if "trunk" in trial_id)
    assert found.pop(trunk) == ["done"]
    assert list(found.values()) == [["paused", "done"]] * 2
    assert steps(runs.directory("trunk")) == [*range(64, 1024 + 1, 64)]
    assert counts(runs.run(plan_of(**SEPARATE))) == (0, 3, 0, 0, 0)
    assert counts(runs.run(plan_of())) == (0, 3, 0, 0, 0)


def test_values_do_not_depend_on_who_measures(here: Runs, tmp_path: Path) -> None:
    here.run(plan_of(schedules=["const", "const-cooldown", "cosine"]))
    apart = Runs(tmp_path / "apart", LocalExecutor)

    apart.run(plan_of(**{**SEPARATE, "schedules": ["const", "const-cooldown", "cosine"]}))

    assert apart.results() == here.results()


def test_a_trunk_is_trained_to_its_end_and_measured_at_all_stops_afterwards(here: Runs) -> None:
    here.run(plan_of(**CONST))

    assert list(outcomes(here).values()) == [["paused", "done"]]
    assert steps(here.directory("trunk")) == [*range(64, 1280 + 1, 64)]
    assert len({n for _, n, task, *_ in here.results() if task}) == 2


def test_an_evaluation_that_fails_leaves_all_training_and_the_reason(runs: Runs) -> None:
    runs.mischief(trunk={"at": 640, "metric": "acc5", "do": "lack", "times": 1})

    outcome = runs.run(plan := plan_of(**CONST))

    assert counts(outcome) == (0, 0, 1, 0, 0)
    (trial_id,) = (planned.trial.id for planned in plan.trials)
    with Store.read(runs.db) as store:
        there = store.recorded([trial_id])[trial_id]
    assert there.state is TrialState.FAILED
    assert there.failure
    assert there.failure.kind is FailureKind.SETUP
    assert [checkpoint.samples_seen for checkpoint in there.checkpoints] == [640, 1280]
    trained = steps(runs.directory("trunk"))

    # What is missing is looked for again, and nothing is trained.
    assert counts(runs.run(plan)) == (1, 0, 0, 0, 2 * len(METRICS))
    assert steps(runs.directory("trunk")) == trained
    assert outcomes(runs)[trial_id] == ["paused", "failed", "done"]


@pytest.mark.ray
def test_an_evaluating_process_that_is_killed_is_replaced_and_finds_each_value_once(
    on_ray: Runs, here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_BACKOFF_SECONDS", 0.01)
    here.run(plan_of(**CONST))
    # Between two metrics of the second stop.
    on_ray.mischief(trunk={"at": 1280, "metric": "acc5", "do": "kill", "times": 2})

    outcome = on_ray.run(plan_of(**CONST))

    assert counts(outcome) == (1, 0, 0, 0, 2 * len(METRICS))
    assert on_ray.results() == here.results()
    assert list(outcomes(on_ray).values()) == [["paused", "died", "died", "done"]]
    assert steps(on_ray.directory("trunk")) == [*range(64, 1280 + 1, 64)]


@pytest.mark.ray
@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_run_whose_driver_is_killed_while_checkpoints_wait_to_be_measured_goes_on(
    stopped: Runs, here: Runs, executor: str
) -> None:
    here.run(plan_of(**CONST))
    stopped.mischief(trunk={"at": 1280, "metric": "acc1", "do": "hang", "times": 1})
    driver = start(stopped, executor, "fake_trainer:train", json.dumps(CONST))
    await_line(driver, "trained as far as it may be")
    await_line(driver, "running")
    await_true(lambda: (stopped.checkpoints / "mischief-trunk.done").exists())
    driver.kill()
    driver.communicate()
    await_true(lambda: not started_by(driver))

    outcome = stopped.run(plan_of(**CONST))

    # What was measured before is in the journal of the attempt that was lost.
    assert counts(outcome) == (1, 0, 0, 0, 2 * len(METRICS))
    assert stopped.results() == here.results()
    assert list(outcomes(stopped).values()) == [["paused", "lost", "done"]]
    assert steps(stopped.directory("trunk")) == [*range(64, 1280 + 1, 64)]


def test_members_of_a_sweep_are_measured_at_their_rungs_before_it_is_decided_who_goes_on(
    here: Runs, tmp_path: Path
) -> None:
    here.run(plan_of(**HALVED))
    apart = Runs(tmp_path / "apart", LocalExecutor)

    outcome = apart.run(plan_of(**{**HALVED, **SEPARATE}))

    assert outcome.exit_code == 0
    assert outcome.done + outcome.stopped_early == 9
    assert {r for r in apart.results() if r[2]} == {r for r in here.results() if r[2]}


def test_a_budget_that_is_spent_on_training_leaves_enough_to_measure(here: Runs) -> None:
    plan = plan_of(**CONST)
    (planned,) = plan.trials
    budget = Budget(gflops=700 * planned.profile.published_gflops)

    outcome = here.run(plan, budget=budget)

    assert outcome.beyond_budget == 1
    assert outcome.measurements == len(METRICS)
    assert {n for _, n, task, *_ in here.results() if task} == {640}
    assert counts(here.run(plan)) == (1, 0, 0, 0, len(METRICS))


def test_each_phase_occupies_what_it_needs() -> None:
    resources = {"default": {"gpus": 2}}
    execution = {"default": {"micro_batch_size": 8, "sharding": "fsdp"}}
    plan = plan_of(
        **CONST, resources=resources, execution=execution, evaluation_resources={"gpus": 0.25}
    )
    (planned,) = plan.trials
    stops = planned.stops

    training, measuring = phases(planned, Remaining(stops, 640, (0, 640)))

    assert training.planned == planned
    assert training.left.stops == (Stop(samples_seen=1280),)
    assert measuring.planned.resources == Resources(gpus=0.25, cpus=1)
    assert measuring.planned.execution == Execution()
    assert measuring.left.stops == stops[:1]
    assert measuring.left.samples_until == (0,)


@pytest.mark.ray
def test_evaluations_that_would_never_fit_are_refused_before_anything_is_trained(
    on_ray: Runs,
) -> None:
    with pytest.raises(ResourceError, match="64"):
        on_ray.run(plan_of(**CONST, evaluation_resources={"gpus": 0, "cpus": 64}))

    assert not list(on_ray.checkpoints.iterdir())


def test_resources_of_evaluations_are_for_separate_ones() -> None:
    with pytest.raises(GridError, match="need 'evaluate_on: separate'"):
        plan_of(evaluation_resources={"gpus": 0.5})
    with pytest.raises(GridError, match="less than or equal to 1"):
        plan_of(**SEPARATE, evaluation_resources={"gpus": 2})


def test_a_networks_values_are_the_same_to_the_last_bit(here: Runs, tmp_path: Path) -> None:
    pairs = {"kind": "shapes", "content": "captions", "count": 64, "captions_each": 1}
    changes = {
        "families": ["mammut"],
        "schedules": ["const", "const-cooldown"],
        "samples_seen": [320, 640],
        "tasks": {"few": {"kind": "losses", "set": pairs, "batch_size": 64}},
        "evaluate": ["few"],
    }
    here.run(plan_of(**changes), TRAINER)
    apart = Runs(tmp_path / "apart", LocalExecutor)

    outcome = apart.run(plan_of(**changes, **SEPARATE), TRAINER)

    assert outcome.exit_code == 0
    assert apart.results() == here.results()
    assert sum(bool(task) for _, _, task, *_ in here.results()) == 2 * 2 * 2


def measured_by(runs: Runs) -> dict[int, int]:
    """The number of the attempt that recorded what was measured, by samples seen."""
    with Store(runs.db) as store, store.writing() as connection:
        rows = connection.exec_driver_sql("SELECT samples_seen, attempt FROM measurement")
        return dict(tuple(row) for row in rows)


@pytest.mark.ray
@pytest.mark.parametrize("times", [0, 1], ids=["", "killed"])
def test_a_checkpoint_is_measured_while_its_trunk_trains_on(
    on_ray: Runs, here: Runs, times: int
) -> None:
    here.run(plan_of(**CONST))
    on_ray.mischief(**training_on(do="kill", times=times))

    outcome = on_ray.run(plan_of(**CONST))

    assert counts(outcome) == (1, 0, 0, 0, 2 * len(METRICS))
    assert on_ray.results() == here.results()
    assert list(outcomes(on_ray).values()) == [["paused", "done"]]
    # If what measured beside the training is killed, whoever measures afterwards does it.
    assert measured_by(on_ray) == {640: 1 + times, 1280: 2}
    assert steps(on_ray.directory("trunk")) == [*range(64, 1280 + 1, 64)]


@pytest.mark.ray
def test_a_driver_that_is_killed_while_something_is_measured_beside_goes_on(
    stopped: Runs, here: Runs
) -> None:
    here.run(plan_of(**CONST))
    stopped.mischief(**training_on(do="hang", times=1))
    driver = start(stopped, "ray", "fake_trainer:train", json.dumps(CONST))
    await_true(lambda: bool(list(stopped.checkpoints.glob("mischief-*beside.done"))))
    driver.kill()
    driver.communicate()
    await_true(lambda: not started_by(driver))

    outcome = stopped.run(plan_of(**CONST))

    assert counts(outcome) == (1, 0, 0, 0, 2 * len(METRICS))
    assert stopped.results() == here.results()
    assert next(iter(outcomes(stopped).values()))[0] == "lost"


def training_on(**beside: Any) -> dict[str, Any]:
    """Training that waits before its last stop for what is measured beside it."""
    return {
        "tiny-a-trunk": {"at": 1280, "do": "wait for beside", "times": 1},
        "beside": {"at": 640, "metric": "acc5", **beside},
    }
