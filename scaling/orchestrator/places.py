"""Nodes, parts of them, and where trials of one or several processes fit; pure counting."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from scaling.orchestrator.backfill import moment_of
from scaling.plan import Resources

EPSILON = 1e-6
"""Three thirds of a GPU are one GPU."""


@dataclass
class Node:
    """What is not taken yet on one machine."""

    id: str
    cpus: float
    gpus: list[float] = field(default_factory=list)
    """The part of each GPU that is free."""
    total_cpus: float = field(init=False)
    is_left_out: bool = False
    """Whether nothing is to start here any more."""

    def __post_init__(self) -> None:
        """Nothing is taken."""
        self.total_cpus = self.cpus

    @property
    def emptied(self) -> "Node":
        """The same node when nothing runs on it."""
        return Node(self.id, self.total_cpus, [1.0] * len(self.gpus))


@dataclass(frozen=True)
class Share:
    """What one process of a trial has of a node."""

    node: str
    """Its id."""
    cpus: float
    gpu: int | None = None
    gpus: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where a slot was put, a share for each of its processes; to be given back."""

    resources: Resources
    shares: tuple[Share, ...]

    @property
    def nodes(self) -> set[str]:
        """The ids of the nodes that it is on."""
        return {share.node for share in self.shares}


def processes(resources: Resources) -> int:
    """How many processes train one trial: one a GPU, or as many as asked for on CPUs."""
    return int(resources.gpus) if resources.gpus > 1 else resources.processes


def one_process(resources: Resources) -> Resources:
    """What each of the processes has."""
    return Resources(gpus=min(resources.gpus, 1), cpus=resources.cpus)


def fit(
    nodes: Sequence[Node], resources: Resources, *, may_spread: bool = True
) -> tuple[Share, ...]:
    """Shares of what is free on `nodes` for all processes, or none."""
    each, count = one_process(resources), processes(resources)
    options = [(node, shares_of(node, each, count)) for node in nodes]
    whole = [(node, shares) for node, shares in options if len(shares) == count]
    if whole:
        return tuple(min(whole, key=lambda option: _waste(*option))[1])
    return together([shares for _, shares in options], count) if may_spread else ()


def shares_of(node: Node, each: Resources, at_most: int) -> list[Share]:
    """As many shares as are free on a node, of its fullest GPUs."""
    count = min(at_most, int(node.cpus / each.cpus + EPSILON))
    if not each.gpus:
        return [Share(node.id, each.cpus)] * max(0, count)
    gpus = sorted((left, gpu) for gpu, left in enumerate(node.gpus) if left >= each.gpus - EPSILON)
    return [Share(node.id, each.cpus, gpu, each.gpus) for _, gpu in gpus[: max(0, count)]]


Coming = Sequence[tuple[float, Share]]
"""What is taken, and when it is expected to be given back."""


def coming_back(taken: Iterable[Place], ends: Iterable[tuple[Place, float]]) -> Coming:
    """The shares of what is `taken`, with their `ends`; infinite where nobody knows."""
    known = list(ends)
    places = [place for place, _ in known]
    for place in taken:
        if place in places:
            places.remove(place)
        else:
            known.append((place, inf))
    return [(end, share) for place, end in known for share in place.shares]


def gpu_ready_at(node: Node, gpu: int, wanted: float, coming: Coming) -> float:
    """When so much of a GPU is free."""
    its = ((end, share.gpus) for end, share in coming if (share.node, share.gpu) == (node.id, gpu))
    return moment_of(wanted - node.gpus[gpu], its)


def soonest(node: Node, each: Resources, at_most: int, coming: Coming) -> list[Share]:
    """As many shares as a node could ever have, of the GPUs that are free first."""
    count = min(at_most, int(node.total_cpus / each.cpus + EPSILON))
    if not each.gpus:
        return [Share(node.id, each.cpus)] * count
    gpus = sorted(
        range(len(node.gpus)),
        key=lambda gpu: (gpu_ready_at(node, gpu, each.gpus, coming), -node.gpus[gpu]),
    )
    return [Share(node.id, each.cpus, gpu, each.gpus) for gpu in gpus[:count]]


def _waste(node: Node, shares: Sequence[Share]) -> float:
    """The least for the place that leaves the most to others."""
    (first, *more) = shares
    if first.gpu is None:
        return len(node.gpus)
    return sum(node.gpus) if more else node.gpus[first.gpu]


def together(options: Sequence[Sequence[Share]], count: int) -> tuple[Share, ...]:
    """`count` shares of as few nodes as can be, or none."""
    found: list[Share] = []
    for shares in sorted(options, key=len, reverse=True):
        found += shares[: count - len(found)]
    return tuple(found) if len(found) == count else ()
