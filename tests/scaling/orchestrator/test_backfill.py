"""What is kept for a waiting gang trains small trials that end before it could start."""

import random
from math import inf

import pytest

from scaling.orchestrator.backfill import SAFETY, moment_of, spare_seconds
from scaling.orchestrator.capacity import Capacity
from scaling.orchestrator.places import Node, Place
from scaling.plan import Resources

GANG, SMALL = Resources(gpus=8), Resources(gpus=1)


class Cluster:
    """Two nodes of eight GPUs, trials that end when they should or do not, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        nodes = [Node(name, cpus=16, gpus=[1.0] * 8) for name in "ab"]
        self.capacity = Capacity(nodes, clock=lambda: self.now)
        self.running: list[tuple[float, float, Place]] = []
        """When each ends, when it was expected to, and where it is."""

    def start(self, resources: Resources, seconds: float, slip: float = 1.0) -> bool:
        place = self.capacity.take(resources, seconds)
        if place is not None:
            self.running.append((self.now + slip * seconds, self.now + seconds, place))
        return place is not None

    def hold(self) -> None:
        ends = [(place, expected) for _, expected, place in self.running]
        self.capacity.hold(GANG, ends)

    def go_on(self) -> None:
        """To the next end of a trial."""
        self.capacity.let_go()
        self.running.sort(key=lambda its: its[0])
        self.now, _, place = self.running.pop(0)
        self.capacity.give_back(place)


def gang_among(cluster: Cluster, chance: random.Random, slip: float) -> tuple[float, float, int]:
    """When a gang was first expected to start and did, and how many small trials went before.

    Small ones, of any length, never run out.
    """
    for _ in range(16):
        assert cluster.start(SMALL, chance.uniform(1, 100))
    cluster.hold()
    expected, backfilled = cluster.capacity.spare_seconds * SAFETY, 0
    while True:
        cluster.go_on()
        if cluster.start(GANG, 100):
            return expected, cluster.now, backfilled
        cluster.hold()
        for _ in range(50):
            backfilled += cluster.start(SMALL, chance.uniform(1, 60), slip)


def held_for_ten_seconds() -> Cluster:
    """Node a is full for a long time; on b one GPU is busy for ten seconds, and a gang waits."""
    cluster = Cluster()
    for _ in range(8):
        assert cluster.start(SMALL, 10.0)
    for _ in range(7):
        assert cluster.start(SMALL, 1000.0)
    assert cluster.start(SMALL, 1000.0)
    full = {share.node for _, end, place in cluster.running for share in place.shares if end > 100}
    assert len(full) == 1
    for place in [place for _, end, place in cluster.running if end < 100][:7]:
        cluster.capacity.give_back(place)
        cluster.running = [its for its in cluster.running if its[2] is not place]
    cluster.hold()
    return cluster


def test_only_what_ends_in_time_starts_on_what_is_kept() -> None:
    cluster = held_for_ten_seconds()

    assert cluster.capacity.spare_seconds == pytest.approx(10 / SAFETY)
    assert not cluster.start(SMALL, inf)
    assert not cluster.start(SMALL, 10.0)
    assert cluster.start(SMALL, 6.0)


def test_nothing_starts_on_what_is_kept_if_nobody_knows_for_how_long() -> None:
    cluster = held_for_ten_seconds()
    cluster.capacity.let_go()
    cluster.capacity.hold(GANG)

    assert cluster.capacity.spare_seconds == 0
    assert not cluster.start(SMALL, 0.1)


def test_an_idle_slot_is_used_again_for_what_ends_in_time() -> None:
    cluster = held_for_ten_seconds()
    (busy,) = (place for _, end, place in cluster.running if end < 100)

    assert cluster.capacity.may_reuse(busy, 5.0)
    assert not cluster.capacity.may_reuse(busy, 50.0)


@pytest.mark.parametrize("seed", range(20))
def test_small_trials_go_before_a_gang_and_do_not_delay_it(seed: int) -> None:
    chance = random.Random(seed)

    expected, started, before = gang_among(Cluster(), chance, slip=chance.uniform(0.3, SAFETY))

    assert started <= expected + 1e-6
    assert before > 8  # as many as there are GPUs on the other node


@pytest.mark.parametrize("seed", range(20))
def test_estimates_that_are_wrong_delay_a_gang_once_and_not_for_ever(seed: int) -> None:
    expected, started, _ = gang_among(Cluster(), random.Random(seed), slip=20.0)

    # The last trial that was let in ahead of it had been expected to take at most this long.
    assert started <= expected + 20.0 * expected / SAFETY


def test_the_gpus_that_are_free_first_are_kept() -> None:
    cluster = Cluster()
    for seconds in (100.0,) * 8 + (10.0,) * 8:
        assert cluster.start(SMALL, seconds)
    late, soon = (
        {s.node for _, e, p in cluster.running if e == end for s in p.shares}
        for end in (100.0, 10.0)
    )
    assert late != soon

    cluster.hold()

    assert cluster.capacity.spare_seconds == pytest.approx(10 / SAFETY)


def test_moments_and_what_they_leave_to_others() -> None:
    coming = [(30.0, 1.0), (10.0, 2.0), (inf, 4.0)]

    assert moment_of(0.0, coming) == 0.0
    assert moment_of(2.0, coming) == 10.0
    assert moment_of(2.5, coming) == 30.0
    assert moment_of(4.0, coming) == inf
    assert moment_of(9.0, coming) == inf
    assert spare_seconds(25.0, now=10.0) == 15.0 / SAFETY
    assert spare_seconds(5.0, now=10.0) == spare_seconds(inf, now=10.0) == 0.0
