"""Simulated runs of trials on one and several GPUs, against what no order could beat."""

import random
from dataclasses import replace
from math import inf

import pytest
from grids import plan_of

from scaling.plan import Plan, Resources
from scaling.planning import Machine, nothing_done
from scaling.planning.bound import Job, gang_bound
from scaling.planning.makespan import Makespan, makespan
from scaling.planning.urgency import Ready


def simulated(seed: int, widths: tuple[float, ...]) -> Makespan:
    """A run on 16 GPUs of trials that take random times on `widths` of them."""
    chance = random.Random(seed)
    plan = plan_of(
        families=["clip", "mammut"],
        samples_seen=[1024, 2048, 4096, 8192],
        schedules=["cosine", "const-cooldown"],
    )
    width = {m: chance.choice(widths) for m in {i.trial.model for i in plan.trials}}
    trials = [replace(i, resources=Resources(gpus=width[i.trial.model])) for i in plan.trials]
    plan = Plan(study=plan.study, cells=plan.cells, trials=tuple(trials), grid_text="")
    pace = {its.trial.id: chance.uniform(0.1, 1.0) for its in plan.trials}
    return makespan(plan, nothing_done(plan), pace, Machine(gpus=16, cpus=64))


@pytest.mark.parametrize("seed", range(12))
def test_no_run_beats_the_bounds(seed: int) -> None:
    found = simulated(seed, (0.5, 1, 3, 8, 16))

    assert found.bound <= found.gang_bound <= found.seconds * (1 + 1e-9)


def test_of_gangs_that_do_not_fit_beside_each_other_one_runs_at_a_time() -> None:
    gangs = [Job(seconds=10.0, devices=9, path=10.0)] * 3

    assert gang_bound(gangs, 16) == pytest.approx(30.0)
    # Two of eight fit, but not while a trial of 25 seconds has one of the sixteen.
    halves = [Job(seconds=10.0, devices=8, path=10.0)] * 4
    assert gang_bound([*halves, Job(25.0, 1, 25.0)], 16) == pytest.approx((40 + 25) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_the_most_urgent_that_is_short_enough_is_found(seed: int) -> None:
    chance = random.Random(seed)
    seconds = [chance.uniform(0, 10) for _ in range(37)]
    numbers = sorted(chance.sample(range(37), 29))
    there = set(numbers[5:])
    ready = Ready(numbers, seconds, waiting=set(numbers[:5]))
    for _ in range(200):
        limit = chance.choice([inf, chance.uniform(0, 10)])
        first = ready.first() if limit == inf else ready.first_within(limit)
        assert first == min((n for n in there if seconds[n] <= limit), default=Ready.NONE)
        if first != Ready.NONE and chance.random() < 0.7:
            ready.remove(first)
            there.remove(first)
        elif missing := sorted(set(numbers) - there):
            ready.add(n := chance.choice(missing))
            there.add(n)
