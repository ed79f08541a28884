"""Trials that several Ray actors train together, on one node."""

import time

import pytest
from fake_trainer import METRICS, steps
from small_plans import Runs, counts, plan_of
from test_gang import ONE_TRIAL, TRAINER, TWO, order, saw

from scaling.errors import ResourceError
from scaling.orchestrator import verdicts
from scaling.orchestrator.executor import Died
from scaling.orchestrator.ray_gang import _cause
from scaling.orchestrator.worker import Crash
from scaling.store import FailureKind, Store

pytestmark = pytest.mark.ray


def groups() -> set[str]:
    """The states of all placement groups."""
    from ray.util import placement_group_table

    return {group["state"] for group in placement_group_table().values()}


def free_cpus() -> float:
    import ray

    deadline = time.monotonic() + 20
    while ray.available_resources().get("CPU") != 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    return float(ray.available_resources().get("CPU", 0))


def test_actors_train_a_trial_together_and_leave_nothing_behind(on_ray: Runs) -> None:
    # Slots for one process make room for the gang, and it for them.
    plan = plan_of(models=["tiny-a", "tiny-b"], resources={"tiny-a": TWO["default"]})

    outcome = on_ray.run(plan, TRAINER)

    assert counts(outcome) == (6, 0, 0, 0, 4 * len(METRICS))
    assert saw(on_ray) == {"saw-0-of-1-", "saw-0-of-2-", "saw-1-of-2-"}
    assert groups() == {"REMOVED"}
    assert free_cpus() == 2


def test_one_that_is_killed_takes_the_others_with_it_and_the_trial_goes_on(
    on_ray: Runs, here: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_BACKOFF_SECONDS", 0.01)
    here.run(
        plan := plan_of(schedules=["const-cooldown"], samples_seen=[640], resources=TWO), TRAINER
    )
    on_ray.mischief(cooldown={"at": 640, "metric": "acc5", "do": "wait"})
    order(on_ray, _1="kill")

    outcome = on_ray.run(plan, TRAINER)

    assert counts(outcome) == (2, 0, 0, 0, len(METRICS))
    assert on_ray.results() == here.results()
    assert "process 1 of 2: " in (on_ray.directory("trunk") / "attempt-1.log").read_text()
    assert (on_ray.checkpoints / "ended-2").exists()
    assert steps(on_ray.directory("trunk"))[-1] == 512
    assert groups() == {"REMOVED"}


def test_the_failure_of_one_is_told_with_its_log(on_ray: Runs) -> None:
    order(on_ray, _1="raise")

    outcome = on_ray.run(plan := plan_of(**ONE_TRIAL, resources=TWO), TRAINER)

    assert counts(outcome)[2] == 1
    with Store.read(on_ray.db) as store:
        (found,) = store.recorded([planned.trial.id for planned in plan.trials]).values()
    log = on_ray.directory("cosine") / "attempt-1-rank-1.log"
    assert found.failure is not None
    assert found.failure.kind is FailureKind.BUG
    assert found.failure.text == (
        f"process 1 of 2: ValueError: a bug in the trainer (traceback: {log})"
    )
    assert 'raise ValueError("a bug in the trainer")' in log.read_text()


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"gpus": 0, "processes": 4}, "asks for 4 processes with 1 CPUs and 0 GPUs each; .* 2: 2"),
        ({"gpus": 0, "processes": 64}, "asks for 64 processes"),
    ],
)
def test_more_processes_than_there_is_room_for_are_refused_before_anything_starts(
    on_ray: Runs, resources: dict[str, int], message: str
) -> None:
    with pytest.raises(ResourceError, match=message):
        on_ray.run(plan_of(resources={"tiny-a": resources}))

    assert on_ray.show.told == []


def test_who_lost_its_partner_is_not_to_blame() -> None:
    lost = Crash("bug", "RuntimeError: [pair.cc:534] Connection closed by peer [10.0.0.2]:4711")
    bug = Crash("bug", "ValueError: a bug")
    failures = {0: (1.0, lost), 1: (2.0, bug)}

    assert _cause(failures, 2) == Crash("bug", "process 1 of 2: ValueError: a bug")
    assert _cause({0: (1.0, lost)}, 2) == Died(f"process 0 of 2: {lost.text}")
    assert _cause({**failures, 1: (2.0, Died("killed"))}, 2) == Died("process 1 of 2: killed")
    assert _cause({0: (2.0, lost), 1: (1.0, lost)}, 2) == Died(f"process 1 of 2: {lost.text}")
