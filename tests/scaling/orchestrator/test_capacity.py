import pytest
from small_plans import plan_of

from scaling.errors import ResourceError
from scaling.orchestrator.capacity import Capacity, Node
from scaling.plan import Resources


def slots(capacity: Capacity, resources: Resources) -> int:
    """How many slots fit."""
    count = 0
    while capacity.take(resources):
        count += 1
    return count


@pytest.mark.parametrize(
    ("gpus", "expected"), [(1, 4), (0.5, 8), (1 / 3, 12), (0.6, 4), (0.25, 16)]
)
def test_fractions_of_a_gpu_never_cross_from_one_gpu_to_another(
    gpus: float, expected: int
) -> None:
    nodes = [Node("a", cpus=32, gpus=[1.0, 1.0]), Node("b", cpus=32, gpus=[1.0, 1.0])]

    assert slots(Capacity(nodes), Resources(gpus=gpus)) == expected


def test_trials_run_on_cpus_where_no_node_has_a_gpu() -> None:
    capacity = Capacity([Node("a", cpus=3)])

    assert slots(capacity, capacity.on_this_cluster(Resources(gpus=1, cpus=1))) == 3


def test_cpus_are_counted_beside_gpus() -> None:
    capacity = Capacity([Node("a", cpus=4, gpus=[1.0] * 8)])

    assert slots(capacity, Resources(gpus=1, cpus=2)) == 2
    assert slots(capacity, Resources(gpus=0, cpus=1)) == 0


def test_small_trials_fill_a_gpu_that_is_begun_before_a_free_one() -> None:
    capacity = Capacity([Node("a", cpus=8, gpus=[1.0, 1.0])])
    first = capacity.take(Resources(gpus=0.5))

    second = capacity.take(Resources(gpus=0.5))

    assert first
    assert second
    assert first.gpu == second.gpu
    assert slots(capacity, Resources(gpus=1)) == 1


def test_what_is_given_back_can_be_taken_again() -> None:
    capacity = Capacity([Node("a", cpus=1, gpus=[1.0])])
    place = capacity.take(Resources())
    assert place
    assert capacity.take(Resources()) is None

    capacity.give_back(place)

    assert capacity.take(Resources())


def test_what_no_node_has_is_refused() -> None:
    plan = plan_of(resources={"tiny-a": {"gpus": 1, "cpus": 9}})
    capacity = Capacity([Node("a", cpus=8, gpus=[1.0]), Node("b", cpus=4)])

    with pytest.raises(ResourceError, match="9 CPUs and 1 GPUs; no node has that: the largest"):
        capacity.check(plan.trials)
    capacity.check(plan_of().trials)
