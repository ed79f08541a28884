"""Attempts in Ray actors: long-lived slots for one process, and gangs of several.

There is a slot for each GPU, or part of one, or CPU core, as trials ask for it.
"""

import time
from collections.abc import Sequence
from math import inf

from scaling.errors import ResourceError
from scaling.families import World
from scaling.orchestrator.capacity import Capacity
from scaling.orchestrator.cluster import Cluster
from scaling.orchestrator.executor import Died, Done, Slot
from scaling.orchestrator.places import Place, processes
from scaling.orchestrator.ray_gang import RayGang
from scaling.orchestrator.ray_slot import RaySlot
from scaling.orchestrator.worker import TRAINER, Crash, Message
from scaling.plan import PlannedTrial, Resources
from scaling.train.rows import check_together

_SECONDS_BETWEEN_LOOKS = 2.0
"""How often nodes are looked for that came or went."""

_SECONDS_WITHOUT_NODES = 600.0
"""How long to wait, with nothing running, for a node that is large enough."""

_Spoken = list[tuple[Slot, Message | Died | Done]]


class RayExecutor:
    """Slots are made when they are needed, kept as long as all goes well, and never shared."""

    def __init__(
        self, *, slots: int | None = None, address: str | None = None, trainer: str = TRAINER
    ) -> None:
        """At most `slots` at once (all that fit, unless given), on the cluster at `address`.

        Without an address a cluster of this machine alone is started, and stopped at the end.
        `trainer` names the generator that trains, as 'module:function'.
        """
        self._at_most = slots
        self._cluster = Cluster(address)
        self._trainer = trainer
        self._capacity = Capacity([])
        self._slots: list[RaySlot | RayGang] = []
        self._looked = 0.0
        self._hopeless_since: float | None = None

    def prepare(self, trials: Sequence[PlannedTrial]) -> int:
        """See `Executor.prepare`."""
        self._capacity = Capacity(self._cluster.start())
        self._capacity.check(trials)
        for planned in trials:
            size = processes(self._capacity.on_this_cluster(planned.resources))
            check_together(planned.trial, planned.execution, World(size=size))
        return self._at_once(trials)

    def share(self, resources: Resources) -> float:
        """See `Executor.share`."""
        return self._capacity.share(self._capacity.on_this_cluster(resources))

    def free(self, resources: Resources, seconds: float = inf) -> RaySlot | RayGang | None:
        """See `Executor.free`; the first that gets None is kept a place until the next `wait`."""
        resources = self._capacity.on_this_cluster(resources)
        idle = [slot for slot in self._slots if slot.is_idle]
        for slot in idle:
            is_alike = slot.place.resources == resources
            if is_alike and self._capacity.may_reuse(slot.place, seconds):
                self.expect(slot, seconds)
                return slot
        place = self._room(resources, seconds) or self._room_without(idle, resources, seconds)
        if place is None:
            if self._at_most is None or len(self._slots) < self._at_most:
                ends = [(its.place, 0.0 if its.is_idle else its.until) for its in self._slots]
                self._capacity.hold(resources, ends)
            self._check_hope(resources)
            return None
        self._hopeless_since = None
        several = len(place.shares) > 1
        made = RayGang(place, self._trainer) if several else RaySlot(place, self._trainer)
        self._slots.append(made)
        self.expect(made, seconds)
        return made

    def longest(self, resources: Resources) -> float:
        """See `Executor.longest`."""
        resources = self._capacity.on_this_cluster(resources)
        idle = [slot for slot in self._slots if slot.is_idle]
        if self._at_most is not None and len(self._slots) - len(idle) >= self._at_most:
            return 0.0
        is_room = self._find_without(idle, resources, 0.0) is not None
        return self._capacity.spare_seconds if is_room else 0.0

    def expect(self, slot: Slot, seconds: float) -> None:
        """See `Executor.expect`."""
        assert isinstance(slot, RaySlot | RayGang)
        slot.until = time.monotonic() + seconds

    def wait(self, seconds: float) -> _Spoken:
        """See `Executor.wait`."""
        self._capacity.let_go()
        found = self._listen(seconds)
        has_died = any(isinstance(message, Died) for _, message in found)
        if has_died or time.monotonic() > self._looked + _SECONDS_BETWEEN_LOOKS:
            self._look_for_nodes()
        # Whoever has spoken in this round is judged in the next: a failure is the last of all.
        spoke = {slot for slot, _ in found}
        for mine in self._slots:
            verdict = None if mine in spoke else mine.verdict()
            if verdict is not None:
                found.append((mine, verdict))
        for slot, message in found:
            # A gang is made for one attempt.
            if isinstance(message, Crash | Died) or (
                isinstance(message, Done) and isinstance(slot, RayGang)
            ):
                self.drop(slot)
        return found

    def node(self, slot: Slot) -> str:
        """See `Executor.node`."""
        assert isinstance(slot, RaySlot | RayGang)
        nodes = slot.place.nodes
        return min(nodes) if len(nodes) == 1 else ""

    def leave_out(self, node: str) -> bool:
        """See `Executor.leave_out`."""
        return self._capacity.leave_out(node)

    def drop(self, slot: Slot) -> None:
        """See `Executor.drop`."""
        assert isinstance(slot, RaySlot | RayGang)
        if slot in self._slots:
            self._slots.remove(slot)
            self._capacity.give_back(slot.place)
            slot.kill()

    def stop(self) -> None:
        """See `Executor.stop`."""
        for slot in list(self._slots):
            self.drop(slot)
        self._cluster.stop()

    def _listen(self, seconds: float) -> _Spoken:
        import ray

        streams = {stream: slot for slot in self._slots for stream in slot.streams}
        if not streams:
            time.sleep(seconds)
            return []
        deadlines = [slot.deadline for slot in self._slots if slot.deadline is not None]
        until_verdict = min(deadlines, default=float("inf")) - time.monotonic()
        ready, _ = ray.wait(list(streams), timeout=max(0.0, min(seconds, until_verdict)))
        if ready:
            ready, _ = ray.wait(list(streams), num_returns=len(streams), timeout=0)
        return [
            (streams[stream], message)
            for stream in ready
            for message in streams[stream].next(stream)
        ]

    def _look_for_nodes(self) -> None:
        """Use nodes that came; what ran on those that are gone has failed."""
        self._looked = time.monotonic()
        gone = self._capacity.update(self._cluster.nodes())
        for slot in list(self._slots) if gone else ():
            lost = slot.place.nodes & gone
            if lost and slot.is_idle:
                self.drop(slot)
            elif lost:
                slot.lose(f"node {min(lost)} of the cluster is gone")
        if self._capacity.is_gone and not self._slots:
            self._capacity.update(self._cluster.start_again())

    def _room(self, resources: Resources, seconds: float) -> Place | None:
        if self._at_most is not None and len(self._slots) >= self._at_most:
            return None
        return self._capacity.take(resources, seconds)

    def _find_without(
        self, idle: Sequence[RaySlot | RayGang], resources: Resources, seconds: float
    ) -> Place | None:
        """The place that there would be without slots that do nothing."""
        for slot in idle:
            self._capacity.give_back(slot.place)
        place = self._capacity.find(resources, seconds)
        for slot in idle:
            self._capacity.take_again(slot.place)
        return place

    def _room_without(
        self, idle: Sequence[RaySlot | RayGang], resources: Resources, seconds: float
    ) -> Place | None:
        """Room where slots of other shapes do nothing, which end only if that is enough."""
        if not idle:
            return None
        place = self._find_without(idle, resources, seconds)
        if place is None:
            return None
        in_the_way = [slot for slot in idle if slot.place.nodes & place.nodes]
        for slot in in_the_way or idle[:1]:
            self.drop(slot)
            if found := self._room(resources, seconds):
                return found
        return None

    def _check_hope(self, resources: Resources) -> None:
        """Raise `ResourceError` if the nodes that could train this stay away."""
        now = time.monotonic()
        if any(not slot.is_idle for slot in self._slots) or self._capacity.could_ever_fit(
            resources
        ):
            self._hopeless_since = None
        elif self._hopeless_since is None:
            self._hopeless_since = now
        elif now > self._hopeless_since + _SECONDS_WITHOUT_NODES:
            raise ResourceError(
                f"the nodes that are left have no {resources.gpus:g} GPUs and {resources.cpus:g} "
                f"CPUs for each process, and none that has came in {_SECONDS_WITHOUT_NODES:g} s; "
                "run the same command again when the cluster is back"
            )

    def _at_once(self, trials: Sequence[PlannedTrial]) -> int:
        """How many of `trials` fit at once, taken as they come."""
        places = []
        for planned in trials[: self._at_most]:
            place = self._capacity.take(self._capacity.on_this_cluster(planned.resources))
            if place is None:
                break
            places.append(place)
        for place in places:
            self._capacity.give_back(place)
        return max(1, len(places))
