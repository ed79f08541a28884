"""What the run loop needs of whatever executes attempts: slots, and messages from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scaling.errors import ResourceError
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

    def free(self, resources: Resources) -> Slot | None:
        """A slot for a trial that needs `resources`, or None while there is no room for it."""
        ...

    def wait(self, seconds: float) -> list[tuple[Slot, Message | Died | Done]]:
        """What has come from slots that work, after at most about `seconds`.

        A slot whose attempt ended in anything but `Done` is not used again.
        """
        ...

    def drop(self, slot: Slot) -> None:
        """End what `slot` is doing, at once."""
        ...

    def stop(self) -> None:
        """End everything at once; no process of the executor is alive afterwards."""
        ...


def check_single_process(trials: Sequence[PlannedTrial]) -> None:
    """Raise `ResourceError` for trials that several processes are to train."""
    for planned in trials:
        wanted = planned.resources
        if wanted.gpus > 1 or wanted.processes > 1:
            text = f"{wanted.gpus:g} GPUs" if wanted.gpus > 1 else f"{wanted.processes} processes"
            raise ResourceError(
                f"{planned.trial.id} asks for {text}; on Ray a trial trains on one GPU or a "
                f"fraction of one: write 'resources: {{{planned.trial.model}: {{gpus: 1}}}}', or "
                "use `--executor local`, which trains one trial at a time on all it asks for"
            )
