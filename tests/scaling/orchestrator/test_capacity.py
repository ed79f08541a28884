import pytest
from small_plans import plan_of

from scaling.errors import ResourceError
from scaling.orchestrator.capacity import Capacity
from scaling.orchestrator.places import Node, Place
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
    assert first.shares == second.shares
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


def of_eight() -> Capacity:
    return Capacity([Node(name, cpus=16, gpus=[1.0] * 8) for name in "ab"])


def on(place: Place | None) -> list[tuple[str, int | None]]:
    """The node and GPU of each process."""
    assert place
    return [(share.node, share.gpu) for share in place.shares]


def test_the_processes_of_a_trial_are_on_one_node_if_one_is_large_enough() -> None:
    capacity = of_eight()
    capacity.take(Resources(gpus=6))

    assert {node for node, _ in on(capacity.take(Resources(gpus=4)))} == {"b"}
    # Six GPUs are free, four here and two there: they wait for one node.
    assert capacity.take(Resources(gpus=6)) is None
    assert {node for node, _ in on(capacity.take(Resources(gpus=2)))} == {"a"}


def test_what_no_node_has_is_spread_over_as_few_as_can_be() -> None:
    capacity = Capacity(
        [Node("a", 8, [1.0] * 2), Node("b", 8, [1.0] * 4), Node("c", 8, [1.0] * 4)]
    )

    place = on(capacity.take(Resources(gpus=6)))

    assert [node for node, _ in place] == ["b"] * 4 + ["c"] * 2
    assert slots(capacity, Resources(gpus=1)) == 4
    assert (
        len(on(Capacity([Node("d", 1), Node("e", 1)]).take(Resources(gpus=0, processes=2)))) == 2
    )


def test_each_process_has_a_gpu_and_its_cpus() -> None:
    capacity = of_eight()

    assert [gpu for _, gpu in on(capacity.take(Resources(gpus=8, cpus=2)))] == [*range(8)]
    assert slots(capacity, Resources(gpus=0, cpus=1)) == 16
    assert capacity.take(Resources(gpus=8, cpus=2.5)) is None


def test_trials_that_would_never_find_a_place_are_refused_with_what_there_is() -> None:
    plan = plan_of(resources={"tiny-a": {"gpus": 24}})

    with pytest.raises(ResourceError, match="asks for 24 processes with 1 CPUs and 1 GPUs each"):
        of_eight().check(plan.trials)
    with pytest.raises(ResourceError, match="have room for 16: 16 CPUs and 8 GPUs; 16 CPUs"):
        of_eight().check(plan.trials)
    of_eight().check(plan_of(resources={"tiny-a": {"gpus": 16}}).trials)


def test_small_trials_do_not_starve_a_large_one() -> None:
    capacity = of_eight()
    small = [capacity.take(Resources(gpus=1)) for _ in range(16)]
    # One ends on each node, one after the other; the trial of eight is the first of the queue.
    started = 0
    for a_place, b_place in zip(small[:8], small[8:], strict=True):
        assert a_place
        assert b_place
        for place in (a_place, b_place):
            capacity.let_go()
            capacity.give_back(place)
            if capacity.take(Resources(gpus=8)):
                assert started == 7
                return
            capacity.hold(Resources(gpus=8))
            started += capacity.take(Resources(gpus=1)) is not None

    pytest.fail("it never started")


def test_what_a_waiting_trial_does_not_need_is_not_kept_from_others() -> None:
    capacity = Capacity([Node("a", cpus=8, gpus=[1.0] * 4)])
    assert capacity.take(Resources(gpus=1))
    capacity.hold(Resources(gpus=4))

    # Four CPUs are for the four processes, of which one has the CPU of the trial that runs.
    assert slots(capacity, Resources(gpus=1)) == 0
    assert slots(capacity, Resources(gpus=0)) == 4
    capacity.let_go()
    assert slots(capacity, Resources(gpus=1)) == 3


def test_an_idle_slot_is_not_used_again_if_somebody_waits_for_its_gpu() -> None:
    capacity = Capacity([Node("a", cpus=8, gpus=[1.0] * 2)])
    gpu, cpu = capacity.take(Resources(gpus=1)), capacity.take(Resources(gpus=0))
    assert gpu
    assert cpu
    capacity.take(Resources(gpus=1))
    capacity.hold(Resources(gpus=2))

    assert not capacity.may_reuse(gpu)
    assert capacity.may_reuse(cpu)


def test_nodes_come_and_go() -> None:
    capacity = Capacity([Node("a", cpus=1)])
    place = capacity.take(Resources(gpus=0))
    assert place

    assert capacity.update([Node("a", cpus=1), Node("b", cpus=1)]) == set()
    assert on(capacity.take(Resources(gpus=0))) == [("b", None)]
    assert capacity.update([Node("b", cpus=1)]) == {"a"}
    capacity.give_back(place)
    assert capacity.take(Resources(gpus=0)) is None
    assert not capacity.could_ever_fit(Resources(gpus=0, processes=2))
