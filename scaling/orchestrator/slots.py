"""Attempts in Ray actors: one long-lived slot per GPU, or per CPU core where there is none."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scaling.orchestrator.capacity import Capacity, Place
from scaling.orchestrator.cluster import Cluster
from scaling.orchestrator.executor import Died, Done, Slot, check_single_process
from scaling.orchestrator.worker import TRAINER, Crash, Message, attempt
from scaling.plan import PlannedTrial, Resources
from scaling.trial import Work


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
        self._slots: list[RaySlot] = []

    def prepare(self, trials: Sequence[PlannedTrial]) -> int:
        """See `Executor.prepare`."""
        check_single_process(trials)
        self._capacity = Capacity(self._cluster.start())
        self._capacity.check(trials)
        return self._at_once(trials)

    def free(self, resources: Resources) -> "RaySlot | None":
        """See `Executor.free`."""
        resources = self._capacity.on_this_cluster(resources)
        idle = [slot for slot in self._slots if slot.is_idle]
        for slot in idle:
            if slot.place.resources == resources:
                return slot
        # Slots of another shape that do nothing make room.
        while (place := self._room(resources)) is None and idle:
            self.drop(idle.pop())
        if place is None:
            return None
        slot = RaySlot(place, self._trainer)
        self._slots.append(slot)
        return slot

    def wait(self, seconds: float) -> list[tuple[Slot, Message | Died | Done]]:
        """See `Executor.wait`."""
        import ray

        busy = {slot.stream: slot for slot in self._slots if not slot.is_idle}
        if not busy:
            time.sleep(seconds)
            return []
        ready, _ = ray.wait(list(busy), timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(busy), num_returns=len(busy), timeout=0)
        found: list[tuple[Slot, Message | Died | Done]] = []
        for stream in ready:
            slot = busy[stream]
            message = slot.next()
            if isinstance(message, Crash | Died):
                self.drop(slot)
            found.append((slot, message))
        return found

    def drop(self, slot: Slot) -> None:
        """See `Executor.drop`."""
        assert isinstance(slot, RaySlot)
        if slot in self._slots:
            self._slots.remove(slot)
            self._capacity.give_back(slot.place)
            slot.kill()

    def stop(self) -> None:
        """See `Executor.stop`."""
        for slot in list(self._slots):
            self.drop(slot)
        self._cluster.stop()

    def _room(self, resources: Resources) -> Place | None:
        if self._at_most is not None and len(self._slots) >= self._at_most:
            return None
        return self._capacity.take(resources)

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


class RaySlot:
    """One actor, and the stream of messages of the attempt that it makes."""

    def __init__(self, place: Place, trainer: str) -> None:
        """Start a process on the node of `place`."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.place = place
        self.stream: Any = None
        resources = place.resources
        # An actor that died is not made again by Ray, nor a call repeated: the driver decides.
        actor = ray.remote(
            num_cpus=resources.cpus, num_gpus=resources.gpus, max_restarts=0, max_task_retries=0
        )(_Actor)
        self._actor = actor.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(place.node.id, soft=False)
        ).remote(trainer, resources)

    @property
    def is_idle(self) -> bool:
        """Whether no attempt is being made."""
        return self.stream is None

    def start(self, work: Work, log: Path) -> None:
        """See `Slot.start`."""
        self.stream = self._actor.attempt.options(num_returns="streaming").remote(work, log)

    def next(self) -> Message | Died | Done:
        """The next message of the attempt, which is there."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            message: Message = ray.get(next(self.stream))
            return message
        except StopIteration:
            self.stream = None
            return Done()
        except RayTaskError as error:
            return Crash("bug", " ".join(str(error).split()))
        except RayError as error:
            return Died(str(error))

    def kill(self) -> None:
        """End the process, whatever it does."""
        import ray

        ray.kill(self._actor)


class _Actor:
    """What runs in a slot's process."""

    def __init__(self, trainer: str, resources: Resources) -> None:
        self._trainer = trainer
        if not resources.gpus:
            # Ray leaves all GPUs visible to actors that asked for none.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""

    def attempt(self, work: Work, log: Path) -> Iterator[Message]:
        yield from attempt(self._trainer, work, log)
