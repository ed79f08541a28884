from typing import get_args

import pytest
from small_plans import Runs, everything, plan_of

from scaling.orchestrator import Order
from scaling.orchestrator.order import COVERAGE, compute_of, early_coverage, ranks
from scaling.orchestrator.remaining import Remaining
from scaling.plan import Plan

COSINE = {
    "models": ["tiny-b", "tiny-a"],
    "samples_seen": [64_000, 640, 1280],
    "schedules": ["cosine"],
}


def ordered(plan: Plan, order: Order) -> list[tuple[str, int]]:
    """Model and length of each trial, the first to start first."""
    found = ranks(plan, everything(plan), order)
    trials = {planned.trial.id: planned for planned in plan.trials}
    return [
        (trials[trial_id].trial.model, trials[trial_id].stops[-1].samples_seen)
        for trial_id in sorted(found, key=lambda trial_id: found[trial_id])
    ]


def test_each_order_is_what_it_says() -> None:
    plan = plan_of(**COSINE)

    assert ordered(plan, "as-written") == [
        (model, n) for model in ("tiny-b", "tiny-a") for n in (64_000, 640, 1280)
    ]
    assert ordered(plan, "cheapest") == ordered(plan, "longest")[::-1]
    assert ordered(plan, "longest")[0] == ("tiny-b", 64_000)
    assert ordered(plan, "critical-path") == [
        ("tiny-a", 640),
        ("tiny-b", 640),
        *(trial for trial in ordered(plan, "longest") if trial[1] != 640),
    ]


def test_early_coverage_is_one_trial_of_each_row_and_little_of_the_compute() -> None:
    lengths = [640, 1280, 2560, 64_000]
    plan = plan_of(families=["clip", "mammut"], schedules=["cosine"], samples_seen=lengths)
    survey = everything(plan)
    trials = {planned.trial.id: planned for planned in plan.trials}

    first = early_coverage(trials, survey)

    rows = [(trials[i].trial.family, trials[i].stops[-1].samples_seen) for i in first]
    assert sorted(rows) == [("clip", 640), ("mammut", 640)]
    compute = compute_of(trials, survey)
    assert sum(compute[i] for i in first) <= COVERAGE * sum(compute.values())


def test_a_trunk_that_is_much_of_the_compute_does_not_come_early() -> None:
    plan = plan_of(families=["clip", "mammut"])
    trials = {planned.trial.id: planned for planned in plan.trials}

    assert early_coverage(trials, everything(plan)) == set()


def test_a_row_that_has_a_number_needs_no_coverage() -> None:
    plan = plan_of(**COSINE)
    survey = everything(plan)
    done = next(
        i.trial.id for i in plan.trials if i.trial.model == "tiny-a" and "640" in i.trial.id
    )
    del survey.left[done]
    survey.done.append(done)
    trials = {planned.trial.id: planned for planned in plan.trials}

    first = early_coverage(trials, survey)

    assert [trials[trial_id].trial.model for trial_id in first] == ["tiny-b"]


def test_a_short_trunk_comes_early_with_its_first_cooldown() -> None:
    plan = plan_of(models=["tiny-a", "tiny-c"], samples_seen=[640, 12_800])
    survey = everything(plan)
    trials = {planned.trial.id: planned for planned in plan.trials}
    trunk = next(i for i in trials if "tiny-a-trunk" in i)
    survey.left[trunk] = Remaining(survey.left[trunk].stops, start=10_240)

    first = early_coverage(trials, survey)

    # Nothing is left of the trunk but its checkpoints, so only the cooldown costs anything.
    assert {trials[trial_id].trial.kind for trial_id in first} == {"trunk", "cooldown"}
    assert {trials[trial_id].trial.model for trial_id in first} == {"tiny-a"}


@pytest.mark.parametrize("order", get_args(Order))
def test_the_order_changes_no_result(here: Runs, order: Order) -> None:
    plan = plan_of(models=["tiny-a", "tiny-b"], schedules=["const-cooldown", "cosine"])

    outcome = here.run(plan, order=order)

    assert outcome.exit_code == 0
    assert outcome.done == len(plan.trials)
