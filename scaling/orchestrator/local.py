"""Attempts in this process, one after the other: for debuggers, small machines and tests."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from scaling.orchestrator.executor import Died, Done, Slot, check_single_gpu
from scaling.orchestrator.worker import TRAINER, Crash, Message, attempt
from scaling.plan import PlannedTrial, Resources
from scaling.trial import Work


class LocalExecutor:
    """The only slot is this process."""

    def __init__(self, trainer: str = TRAINER) -> None:
        """`trainer` names the generator that trains, as 'module:function'."""
        self._trainer = trainer
        self._messages: Iterator[Message] | None = None

    def prepare(self, trials: Sequence[PlannedTrial]) -> int:
        """See `Executor.prepare`."""
        check_single_gpu(trials)
        return 1

    def free(self, resources: Resources) -> Slot | None:
        """See `Executor.free`."""
        return self if self._messages is None else None

    def start(self, work: Work, log: Path) -> None:
        """See `Slot.start`."""
        self._messages = attempt(self._trainer, work, log)

    def wait(self, seconds: float) -> list[tuple[Slot, Message | Died | Done]]:
        """See `Executor.wait`; takes as long as the attempt takes to say something."""
        if self._messages is None:
            return []
        message = next(self._messages, Done())
        if isinstance(message, Done | Crash):
            self._messages = None
        return [(self, message)]

    def drop(self, slot: Slot) -> None:
        """See `Executor.drop`."""
        self.stop()

    def stop(self) -> None:
        """See `Executor.stop`."""
        self._messages = None  # Closes the generators of the attempt and of the trainer.
