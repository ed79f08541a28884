"""How many slots fit onto the nodes of a cluster, GPU by GPU; pure counting."""

import time
from collections.abc import Callable, Iterable, Sequence
from math import inf

from scaling.errors import ResourceError
from scaling.orchestrator.backfill import moment_of, spare_seconds
from scaling.orchestrator.places import (
    EPSILON,
    Coming,
    Node,
    Place,
    Share,
    coming_back,
    fit,
    gpu_ready_at,
    one_process,
    processes,
    shares_of,
    soonest,
    together,
)
from scaling.plan import PlannedTrial, Resources


class Capacity:
    """The free resources of a cluster. Without any GPU, trials run on CPUs whatever they ask.

    A trial of several processes has them all on one node if some node is large enough for it, and
    waits for such a node; otherwise it is spread over as few nodes as can be.
    """

    def __init__(self, nodes: Iterable[Node], clock: Callable[[], float] = time.monotonic) -> None:
        """All of `nodes`, empty."""
        self._clock = clock
        self._nodes = {node.id: node for node in nodes}
        self._has_gpus = any(node.gpus for node in self._nodes.values())
        self._taken: list[Place] = []
        self._held: tuple[Share, ...] = ()
        self._held_until = inf
        self._promised: dict[Resources, float] = {}
        """The earliest start that was ever expected of what waits: estimates that turn out to be
        wrong may be used once, not again and again."""

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
        return bool(fit([node.emptied for node in self._usable], resources))

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

    def share(self, resources: Resources) -> float:
        """The part of all GPUs that `resources` are; of all CPUs, if they ask for no GPU."""
        gpus = sum(len(node.gpus) for node in self._nodes.values())
        if resources.gpus:
            return resources.gpus / max(gpus, 1)
        cpus = sum(node.total_cpus for node in self._nodes.values())
        return resources.cpus * processes(resources) / max(cpus, 1)

    def take(self, resources: Resources, seconds: float = inf) -> Place | None:
        """A place for one slot that is needed for `seconds`, or None.

        The fullest GPU that still has room, as Ray does it.
        """
        place = self.find(resources, seconds)
        if place is not None:
            self._promised.pop(resources, None)
            self.take_again(place)
        return place

    def find(self, resources: Resources, seconds: float = inf) -> Place | None:
        """The place that `take` would take: beside what is held, or there, if for long enough."""
        place = self._find(resources, [self._beside_held(node) for node in self._usable])
        if place is None and self._held and seconds <= self.spare_seconds:
            place = self._find(resources, self._usable)
        return place

    @property
    def spare_seconds(self) -> float:
        """How long what is held may be used by others, by expectation; 0 if that is unknown."""
        return spare_seconds(self._held_until, self._clock())

    def _find(self, resources: Resources, nodes: Sequence[Node]) -> Place | None:
        may_spread = processes(resources) > 1 and not self._a_node_could_have_all(resources)
        shares = fit(nodes, resources, may_spread=may_spread)
        return Place(resources, shares) if shares else None

    def take_again(self, place: Place) -> None:
        """Take a place that is known to be free."""
        self._taken.append(place)
        self._change(place, -1)

    def give_back(self, place: Place) -> None:
        """Undo `take`."""
        self._taken.remove(place)
        self._change(place, +1)

    def hold(self, resources: Resources, ends: Iterable[tuple[Place, float]] = ()) -> None:
        """Keep for `resources` what is expected to be free for them first, until `let_go`.

        Meanwhile others take only what `resources` do not wait for, or what they give back before
        all of it is free (`scaling.orchestrator.backfill`). `ends` says of places when they are
        expected to be given back; of others nobody knows.
        """
        if self._held:
            return
        coming = coming_back(self._taken, ends)
        each, count = one_process(resources), processes(resources)
        options = [soonest(node, each, count, coming) for node in self._usable]

        def by_time(shares: Sequence[Share]) -> tuple[float, float, float]:
            gpus, cpus = self._free(shares)
            return self._ready_at(shares, coming), -gpus, -cpus

        whole = [shares for shares in options if len(shares) == count]
        if whole:
            first = min(whole, key=by_time)
            self._held = tuple(first)
        else:
            self._held = together(sorted(options, key=by_time), count)
        start = self._ready_at(self._held, coming) if self._held else inf
        if start < inf:
            start = min(start, self._promised.get(resources, inf))
            self._promised[resources] = start
        self._held_until = start

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._held = ()

    def may_reuse(self, place: Place, seconds: float = inf) -> bool:
        """Whether a place of one process that is taken but idle can be used for `seconds`.

        Not if somebody else waits for it.
        """
        if any(node.is_left_out for node in self._nodes.values() if node.id in place.nodes):
            return False
        if not self._held or place.shares[0].node not in self._nodes:
            return True
        if seconds <= self.spare_seconds:
            return True
        (share,) = place.shares
        self.give_back(place)
        node = self._beside_held(self._nodes[share.node])
        self.take_again(place)
        gpu = node.gpus[share.gpu] if share.gpu is not None else share.gpus
        return node.cpus >= share.cpus - EPSILON and gpu >= share.gpus - EPSILON

    def _a_node_could_have_all(self, resources: Resources) -> bool:
        empty = [node.emptied for node in self._usable]
        return bool(fit(empty, resources, may_spread=False))

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

    def _ready_at(self, shares: Sequence[Share], coming: "Coming") -> float:
        """When all of `shares` are free; infinite if that is not known."""
        moments = [0.0]
        for node_id in {share.node for share in shares}:
            mine = [share for share in shares if share.node == node_id]
            node = self._nodes[node_id]
            its = [(end, share) for end, share in coming if share.node == node_id]
            cpus = sum(share.cpus for share in mine) - node.cpus
            moments.append(moment_of(cpus, ((end, share.cpus) for end, share in its)))
            moments += [gpu_ready_at(node, s.gpu, s.gpus, its) for s in mine if s.gpu is not None]
        return max(moments)

    def _free(self, shares: Sequence[Share]) -> tuple[float, float]:
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
        room = sum(len(shares_of(node.emptied, each, count)) for node in nodes)
        have = "; ".join(
            f"{node.total_cpus:g} CPUs and {len(node.gpus)} GPUs" for node in nodes[:8]
        )
        return (
            f"{trial_id} asks for {count} processes with {each.cpus:g} CPUs and {each.gpus:g} "
            f"GPUs each; the nodes together have room for {room}: {have}"
            f"{'; ...' if len(nodes) > 8 else ''}"
        )
