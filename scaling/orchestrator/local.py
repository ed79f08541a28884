"""Attempts on this machine without Ray, one after the other: for debuggers, tests, one node."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path

from scaling.errors import ResourceError
from scaling.families import World
from scaling.orchestrator.executor import Died, Done, Slot
from scaling.orchestrator.gang import Gang
from scaling.orchestrator.guard import Guard
from scaling.orchestrator.worker import TRAINER, Crash, Message, attempt
from scaling.plan import PlannedTrial, Resources
from scaling.train.rows import check_together
from scaling.trial import Work

_SECONDS_OF_IDLENESS = 0.05
"""Between looks for something to do."""


class LocalExecutor:
    """The only slot is this process, or as many of its children as a trial asks for."""

    def __init__(self, trainer: str = TRAINER) -> None:
        """`trainer` names the generator that trains, as 'module:function'."""
        self._trainer = trainer
        self._gpus: list[str] = []
        self._resources = Resources()
        self._messages: Iterator[Message] | None = None
        self._gang: Gang | None = None
        self._guard: Guard | None = None

    def prepare(self, trials: Sequence[PlannedTrial]) -> int:
        """See `Executor.prepare`."""
        if any(planned.resources.gpus > 1 for planned in trials):
            self._gpus = _gpus()
        for planned in trials:
            wanted = planned.resources.gpus
            if self._gpus and wanted > len(self._gpus):
                raise ResourceError(
                    f"{planned.trial.id} asks for {wanted:g} GPUs; this machine has "
                    f"{len(self._gpus)}"
                )
            world = World(size=len(self._places(planned.resources)))
            check_together(planned.trial, planned.execution, world)
        if any(len(self._places(planned.resources)) > 1 for planned in trials):
            self._guard = Guard()
        return 1

    def share(self, resources: Resources) -> float:
        """See `Executor.share`."""
        return 0.0

    def free(self, resources: Resources, seconds: float = inf) -> Slot | None:
        """See `Executor.free`."""
        if self._messages is not None or self._gang is not None:
            return None
        self._resources = resources
        return self

    def longest(self, resources: Resources) -> float:
        """See `Executor.longest`."""
        return 0.0

    def expect(self, slot: Slot, seconds: float) -> None:
        """See `Executor.expect`; nobody waits for a part of it."""

    def start(self, work: Work, log: Path) -> None:
        """See `Slot.start`."""
        places = self._places(self._resources)
        if len(places) > 1:
            self._gang = Gang(self._trainer, work, log, places)
        else:
            self._messages = attempt(self._trainer, work, log)

    def wait(self, seconds: float) -> list[tuple[Slot, Message | Died | Done]]:
        """See `Executor.wait`; alone, takes as long as the attempt takes to say something."""
        if self._gang is not None:
            messages = self._gang.wait(seconds)
        elif self._messages is not None:
            messages = [next(self._messages, Done())]
        else:
            # Whatever it is that nothing starts for, it is looked for again.
            time.sleep(min(seconds, _SECONDS_OF_IDLENESS))
            return []
        if messages and isinstance(messages[-1], Done | Crash | Died):
            self._gang = self._messages = None
        return [(self, message) for message in messages]

    def node(self, slot: Slot) -> str:
        """See `Executor.node`."""
        return socket.gethostname()

    def leave_out(self, node: str) -> bool:
        """See `Executor.leave_out`; there is no other machine."""
        return False

    def drop(self, slot: Slot) -> None:
        """See `Executor.drop`."""
        self._messages = None  # Closes the generators of the attempt and of the trainer.
        if self._gang is not None:
            self._gang.kill()
            self._gang = None

    def stop(self) -> None:
        """See `Executor.stop`."""
        self.drop(self)
        if self._guard is not None:
            self._guard.release()
            self._guard = None

    def _places(self, resources: Resources) -> list[str | None]:
        """What each process of a trial sees of the GPUs; None is whatever this process sees."""
        if self._gpus and resources.gpus > 1:
            return [*self._gpus[: int(resources.gpus)]]
        if resources.processes > 1:
            return [""] * resources.processes
        return [None]


def _gpus() -> list[str]:
    """The GPUs that this process sees, by the names that CUDA_VISIBLE_DEVICES gives them."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return visible.split(",")[:count] if visible else [str(gpu) for gpu in range(count)]
