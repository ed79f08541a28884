"""What the run loop needs of whatever executes attempts: slots, and messages from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Protocol

from scaling.orchestrator.worker import Message
from scaling.plan import PlannedTrial, Resources
from scaling.trial import Work


@dataclass(frozen=True)
class Died:
    """The process of an attempt is gone; nobody said why but the system."""

    text: str


@dataclass(frozen=True)
class Done:
    """An attempt ended by itself, after all of its messages."""


class Slot(Protocol):
    """A place where one attempt at a time is made."""

    def start(self, work: Work, log: Path) -> None:
        """Begin an attempt; its messages come from `Executor.wait`."""
        ...


class Executor(Protocol):
    """Makes attempts, several at once if it can. Nothing of it runs before `prepare`."""

    def prepare(self, trials: Sequence[PlannedTrial]) -> int:
        """Get ready, and say how many attempts can be made at once.

        Raises `ResourceError` if one of `trials` could never run.
        """
        ...

    def share(self, resources: Resources) -> float:
        """The part of all GPUs or CPUs that a trial occupies; 0 if none runs beside another."""
        ...

    def free(self, resources: Resources, seconds: float = inf) -> Slot | None:
        """A slot for a trial that needs `resources`, or None while there is no room for it.

        The trial is expected to take `seconds`; infinite if that is not known.
        """
        ...

    def longest(self, resources: Resources) -> float:
        """After `free` gave None: most `seconds` with which it would give a slot; 0 if none."""
        ...

    def expect(self, slot: Slot, seconds: float) -> None:
        """Note that the attempt in `slot` is now expected to take `seconds` more."""
        ...

    def wait(self, seconds: float) -> list[tuple[Slot, Message | Died | Done]]:
        """What has come from slots that work, after at most about `seconds`.

        A slot whose attempt ended in anything but `Done` is not used again.
        """
        ...

    def node(self, slot: Slot) -> str:
        """The name of the machine that `slot` is on; empty if it is on several."""
        ...

    def leave_out(self, node: str) -> bool:
        """Start nothing more on `node` in this run; False, and no change, if there is no other."""
        ...

    def drop(self, slot: Slot) -> None:
        """End what `slot` is doing, at once."""
        ...

    def stop(self) -> None:
        """End everything at once; no process of the executor is alive afterwards."""
        ...
