"""How many slots fit onto the nodes of a cluster, GPU by GPU; pure counting."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scaling.errors import ResourceError
from scaling.plan import PlannedTrial, Resources

_EPSILON = 1e-6
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


class Capacity:
    """The free resources of a cluster. Without any GPU, trials run on CPUs whatever they ask.

    A trial of several processes has them all on one node if some node is large enough for it, and
    waits for such a node; otherwise it is spread over as few nodes as can be.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        """All of `nodes`, empty."""
        self._nodes = {node.id: node for node in nodes}
        self._has_gpus = any(node.gpus for node in self._nodes.values())
        self._taken: list[Place] = []
        self._held: tuple[Share, ...] = ()

    def on_this_cluster(self, resources: Resources) -> Resources:
        """What a trial that asks for `resources` is given here."""
        if self._has_gpus:
            return resources
        return Resources(gpus=0, cpus=resources.cpus, processes=resources.processes)

    def update(self, nodes: Iterable[Node]) -> set[str]:
        """Take in nodes that came and forget those that are gone, whose ids are returned."""
        there = {node.id: node for node in nodes}
        gone = self._nodes.keys() - there.keys()
        for node_id in gone:
            del self._nodes[node_id]
        self._nodes = {**there, **self._nodes}
        return set(gone)

    @property
    def is_gone(self) -> bool:
        """Whether there is no node at all."""
        return not self._nodes

    def could_ever_fit(self, resources: Resources) -> bool:
        """Whether there would be a place for `resources` if nothing ran."""
        return bool(_fit([node.emptied for node in self._usable], resources))

    def leave_out(self, node_id: str) -> bool:
        """Let nothing more start on a node; False, and no change, if there is no other one."""
        if all(node.id == node_id for node in self._usable):
            return False
        for node in self._usable:
            node.is_left_out = node.id == node_id
        return True

    @property
    def _usable(self) -> list[Node]:
        return [node for node in self._nodes.values() if not node.is_left_out]

    def check(self, trials: Iterable[PlannedTrial]) -> None:
        """Raise `ResourceError` if a trial would not even fit onto an empty cluster."""
        for planned in trials:
            wanted = self.on_this_cluster(planned.resources)
            if not self.could_ever_fit(wanted):
                raise ResourceError(self._no_room(planned.trial.id, wanted))

    def take(self, resources: Resources) -> Place | None:
        """A place for one slot, or None; the fullest GPU that still has room, as Ray does it."""
        place = self.find(resources)
        if place is not None:
            self.take_again(place)
        return place

    def find(self, resources: Resources) -> Place | None:
        """The place that `take` would take."""
        nodes = [self._beside_held(node) for node in self._usable]
        may_spread = processes(resources) > 1 and not self._a_node_could_have_all(resources)
        shares = _fit(nodes, resources, may_spread=may_spread)
        return Place(resources, shares) if shares else None

    def take_again(self, place: Place) -> None:
        """Take a place that is known to be free."""
        self._taken.append(place)
        self._change(place, -1)

    def give_back(self, place: Place) -> None:
        """Undo `take`."""
        self._taken.remove(place)
        self._change(place, +1)

    def hold(self, resources: Resources) -> None:
        """Keep for `resources` what will be free for them first, until `let_go`.

        Meanwhile others take only what `resources` do not wait for. Without that, small trials
        would start on each GPU that becomes free, and one that needs eight would never start.
        """
        if self._held:
            return
        each, count = one_process(resources), processes(resources)
        options = [_emptiest(node, each, count) for node in self._usable]
        whole = [shares for shares in options if len(shares) == count]
        if whole:
            self._held = tuple(max(whole, key=self._free))
        else:
            self._held = _together(sorted(options, key=self._free, reverse=True), count)

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._held = ()

    def may_reuse(self, place: Place) -> bool:
        """Whether nobody else waits for a place of one process that is taken but idle."""
        if any(node.is_left_out for node in self._nodes.values() if node.id in place.nodes):
            return False
        if not self._held or place.shares[0].node not in self._nodes:
            return True
        (share,) = place.shares
        self.give_back(place)
        node = self._beside_held(self._nodes[share.node])
        self.take_again(place)
        gpu = node.gpus[share.gpu] if share.gpu is not None else share.gpus
        return node.cpus >= share.cpus - _EPSILON and gpu >= share.gpus - _EPSILON

    def _a_node_could_have_all(self, resources: Resources) -> bool:
        empty = [node.emptied for node in self._usable]
        return bool(_fit(empty, resources, may_spread=False))

    def _beside_held(self, node: Node) -> Node:
        """What is free on a node apart from what is held there."""
        held = [share for share in self._held if share.node == node.id]
        if not held:
            return node
        gpus = {share.gpu for share in held if share.gpu is not None}
        # CPUs that become free together with the GPUs that are held need not be kept free now.
        coming = sum(
            share.cpus
            for place in self._taken
            for share in place.shares
            if share.node == node.id and share.gpu in gpus
        )
        kept = max(0.0, sum(share.cpus for share in held) - coming)
        free = [0.0 if gpu in gpus else left for gpu, left in enumerate(node.gpus)]
        return Node(node.id, node.cpus - kept, free)

    def _free(self, shares: Iterable[Share]) -> tuple[float, float]:
        """How much of the GPUs of `shares` is free, and of the CPUs of their nodes."""
        gpus, nodes = 0.0, set()
        for share in shares:
            nodes.add(share.node)
            gpus += self._nodes[share.node].gpus[share.gpu] if share.gpu is not None else 0
        return gpus, sum(self._nodes[node].cpus for node in nodes)

    def _change(self, place: Place, sign: int) -> None:
        for share in place.shares:
            node = self._nodes.get(share.node)
            if node is not None:
                node.cpus += sign * share.cpus
                if share.gpu is not None:
                    node.gpus[share.gpu] += sign * share.gpus

    def _no_room(self, trial_id: str, wanted: Resources) -> str:
        nodes = list(self._nodes.values())
        count, each = processes(wanted), one_process(wanted)
        if count == 1:
            return (
                f"{trial_id} asks for {wanted.cpus:g} CPUs and {wanted.gpus:g} GPUs; no node has "
                f"that: the largest has {max((node.total_cpus for node in nodes), default=0):g} "
                f"CPUs and {max((len(node.gpus) for node in nodes), default=0)} GPUs"
            )
        room = sum(len(_shares(node.emptied, each, count)) for node in nodes)
        have = "; ".join(
            f"{node.total_cpus:g} CPUs and {len(node.gpus)} GPUs" for node in nodes[:8]
        )
        return (
            f"{trial_id} asks for {count} processes with {each.cpus:g} CPUs and {each.gpus:g} "
            f"GPUs each; the nodes together have room for {room}: {have}"
            f"{'; ...' if len(nodes) > 8 else ''}"
        )


def processes(resources: Resources) -> int:
    """How many processes train one trial: one a GPU, or as many as asked for on CPUs."""
    return int(resources.gpus) if resources.gpus > 1 else resources.processes


def one_process(resources: Resources) -> Resources:
    """What each of the processes has."""
    return Resources(gpus=min(resources.gpus, 1), cpus=resources.cpus)


def _fit(
    nodes: Sequence[Node], resources: Resources, *, may_spread: bool = True
) -> tuple[Share, ...]:
    """Shares of what is free on `nodes` for all processes, or none."""
    each, count = one_process(resources), processes(resources)
    options = [(node, _shares(node, each, count)) for node in nodes]
    whole = [(node, shares) for node, shares in options if len(shares) == count]
    if whole:
        return tuple(min(whole, key=lambda option: _waste(*option))[1])
    return _together([shares for _, shares in options], count) if may_spread else ()


def _shares(node: Node, each: Resources, at_most: int) -> list[Share]:
    """As many shares as are free on a node, of its fullest GPUs."""
    count = min(at_most, int(node.cpus / each.cpus + _EPSILON))
    if not each.gpus:
        return [Share(node.id, each.cpus)] * max(0, count)
    gpus = sorted(
        (left, gpu) for gpu, left in enumerate(node.gpus) if left >= each.gpus - _EPSILON
    )
    return [Share(node.id, each.cpus, gpu, each.gpus) for _, gpu in gpus[: max(0, count)]]


def _emptiest(node: Node, each: Resources, at_most: int) -> list[Share]:
    """As many shares as a node could ever have, of its emptiest GPUs."""
    count = min(at_most, int(node.total_cpus / each.cpus + _EPSILON))
    if not each.gpus:
        return [Share(node.id, each.cpus)] * count
    gpus = sorted(range(len(node.gpus)), key=lambda gpu: -node.gpus[gpu])
    return [Share(node.id, each.cpus, gpu, each.gpus) for gpu in gpus[:count]]


def _waste(node: Node, shares: Sequence[Share]) -> float:
    """The least for the place that leaves the most to others."""
    (first, *more) = shares
    if first.gpu is None:
        return len(node.gpus)
    return sum(node.gpus) if more else node.gpus[first.gpu]


def _together(options: Sequence[Sequence[Share]], count: int) -> tuple[Share, ...]:
    """`count` shares of as few nodes as can be, or none."""
    found: list[Share] = []
    for shares in sorted(options, key=len, reverse=True):
        found += shares[: count - len(found)]
    return tuple(found) if len(found) == count else ()
