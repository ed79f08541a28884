import pytest

from scaling.orchestrator.capacity import Capacity
from scaling.orchestrator.health import Health
from scaling.orchestrator.places import Node
from scaling.plan import Resources


def verdicts(health: Health, *failures: tuple[str, str, float]) -> list[bool]:
    return [health.failed("a", *failure) for failure in failures]


def test_three_fast_failures_in_a_row_condemn_a_node() -> None:
    failures = [("x", "died", 1.0), ("y", "setup", 1.0), ("x", "hung", 59.0)]

    assert verdicts(Health(), *failures) == [False, False, True]


@pytest.mark.parametrize("kind", ["oom", "diverged", "preempted", "bug"])
def test_what_trials_are_to_blame_for_does_not(kind: str) -> None:
    assert not any(verdicts(Health(), *[(trial, kind, 1.0) for trial in "xyz"]))


def test_neither_do_slow_failures_nor_those_of_one_trial() -> None:
    assert not any(verdicts(Health(), *[(trial, "died", 61.0) for trial in "xyz"]))
    assert not any(verdicts(Health(), *[("x", "died", 1.0)] * 5))


def test_something_that_goes_well_starts_the_count_again() -> None:
    health = Health()
    verdicts(health, ("x", "died", 1.0), ("y", "died", 1.0))
    health.went_well("a")

    assert verdicts(health, ("x", "died", 1.0), ("y", "died", 1.0)) == [False, False]


def test_bugs_count_where_another_node_has_none() -> None:
    health = Health()
    health.went_well("b")

    assert verdicts(health, *[(trial, "bug", 1.0) for trial in "xyz"])[-1]


def test_a_node_that_is_left_out_gets_nothing_and_the_last_one_stays() -> None:
    capacity = Capacity([Node("a", cpus=4), Node("b", cpus=1)])
    large, small = Resources(gpus=0, cpus=4), Resources(gpus=0, cpus=1)
    place = capacity.take(small)
    assert place is not None

    assert capacity.leave_out("a")

    assert not capacity.could_ever_fit(large)
    assert not capacity.may_reuse(place) or place.nodes == {"b"}
    capacity.give_back(place)
    found = capacity.take(small)
    assert found is not None
    assert found.nodes == {"b"}
    assert capacity.take(small) is None
    assert not capacity.leave_out("b")
    capacity.update([Node("a", cpus=4), Node("b", cpus=1)])
    assert not capacity.could_ever_fit(large)
