"""How many slots fit onto the nodes of a cluster, GPU by GPU; pure counting."""

from collections.abc import Iterable
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


@dataclass(frozen=True)
class Place:
    """Where a slot was put, to be given back."""

    node: Node
    gpu: int | None
    resources: Resources


class Capacity:
    """The free resources of a cluster. Without any GPU, trials run on CPUs whatever they ask."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        """All of `nodes`, empty."""
        self._nodes = list(nodes)
        self._has_gpus = any(node.gpus for node in self._nodes)

    def on_this_cluster(self, resources: Resources) -> Resources:
        """What a trial that asks for `resources` is given here."""
        return resources if self._has_gpus else Resources(gpus=0, cpus=resources.cpus)

    def check(self, trials: Iterable[PlannedTrial]) -> None:
        """Raise `ResourceError` if a trial would not even fit onto an empty cluster."""
        most = max((node.cpus for node in self._nodes), default=0)
        for planned in trials:
            wanted = self.on_this_cluster(planned.resources)
            if self.take(wanted, only_try=True) is None:
                raise ResourceError(
                    f"{planned.trial.id} asks for {wanted.cpus:g} CPUs and {wanted.gpus:g} GPUs; "
                    f"no node has that: the largest has {most:g} CPUs and "
                    f"{max(len(node.gpus) for node in self._nodes)} GPUs"
                )

    def take(self, resources: Resources, *, only_try: bool = False) -> Place | None:
        """A place for one slot, or None; the fullest GPU that still has room, as Ray does it."""
        best: Place | None = None
        best_left = float("inf")
        for node in self._nodes:
            if node.cpus < resources.cpus - _EPSILON:
                continue
            if not resources.gpus:
                best = Place(node, None, resources)
                break
            for gpu, left in enumerate(node.gpus):
                if resources.gpus - _EPSILON <= left < best_left:
                    best, best_left = Place(node, gpu, resources), left
        if best is not None and not only_try:
            _change(best, -1)
        return best

    def give_back(self, place: Place) -> None:
        """Undo `take`."""
        _change(place, +1)


def _change(place: Place, sign: int) -> None:
    place.node.cpus += sign * place.resources.cpus
    if place.gpu is not None:
        place.node.gpus[place.gpu] += sign * place.resources.gpus
