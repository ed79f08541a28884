"""Checkpoints measured while their trial trains on, where there is room for it.

Whatever is found so is recorded under the number of the attempt that trains. Nothing relies on it:
what does not come, or fails, is left to the attempt that measures after training, and it alone
decides whether the trial fails. When the training ends, so does what measures beside it.
"""

import logging
from dataclasses import dataclass

from scaling.evals._evaluation import Evaluation
from scaling.orchestrator.executor import Died, Done, Executor, Slot
from scaling.orchestrator.files import Files
from scaling.orchestrator.phases import Phase
from scaling.orchestrator.stalls import Watch
from scaling.orchestrator.worker import Batch, Crash, Message
from scaling.plan import PlannedTrial
from scaling.store import RefusedError, Store
from scaling.trial import Checkpoint, Event, Progress, Stop, Work

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Measuring:
    """A stop of a trial to be measured, whose attempt `number` trains on."""

    phase: Phase
    number: int
    stop: Stop
    checkpoint: Checkpoint

    @property
    def attempt(self) -> tuple[str, int]:
        return self.phase.planned.trial.id, self.number


@dataclass(frozen=True)
class Found:
    """What was recorded of a trial."""

    planned: PlannedTrial
    events: tuple[Event, ...]
    measurements: int
    """How many were not there yet."""


class Beside:
    """What waits to be measured so, and what is being measured."""

    def __init__(self, executor: Executor, files: Files, store: Store) -> None:
        """Nothing is asked for yet."""
        self._executor = executor
        self._files = files
        self._store = store
        self._asked: dict[tuple[str, int], set[int]] = {}
        self._waiting: list[_Measuring] = []
        self._running: dict[Slot, _Measuring] = {}
        self._watches: dict[Slot, Watch] = {}

    def __contains__(self, slot: Slot) -> bool:
        """Whether a slot measures something."""
        return slot in self._running

    def ask(self, phase: Phase, number: int, checkpoints: tuple[Checkpoint, ...]) -> None:
        """Measure each stop of `phase`, unless attempt `number` was asked to before."""
        asked = self._asked.setdefault((phase.planned.trial.id, number), set())
        there = {its.samples_seen: its for its in checkpoints}
        for stop in phase.left.stops:
            if stop.samples_seen not in asked:
                asked.add(stop.samples_seen)
                measuring = _Measuring(phase, number, stop, there[stop.samples_seen])
                self._waiting.append(measuring)

    def start_what_fits(
        self, evaluation: Evaluation, stall_seconds: float, deadline: float | None
    ) -> None:
        """Use room that nothing else wanted; `deadline` as in `Work`."""
        while self._waiting:
            measuring = self._waiting[0]
            slot = self._executor.free(measuring.phase.planned.resources)
            if slot is None:
                return
            del self._waiting[0]
            self._running[slot] = measuring
            self._watches[slot] = Watch(stall_seconds)
            work = Work(
                trial=measuring.phase.planned.trial,
                stops=(measuring.stop,),
                checkpoints=(measuring.checkpoint,),
                # With a journal of its own, which nobody reads: what is lost is measured again.
                directory=self._files.directory(*measuring.attempt)
                / f"beside-{measuring.stop.samples_seen}",
                attempt=measuring.number,
                execution=measuring.phase.planned.execution,
                stall_seconds=stall_seconds,
                deadline=deadline,
                evaluation=evaluation,
            )
            slot.start(work, work.directory / f"attempt-{measuring.number}.log")

    def hear(self, slot: Slot, message: Message | Died | Done) -> Found | None:
        """What came of what a slot says; whatever ends it early is nobody's failure."""
        measuring = self._running[slot]
        self._watches[slot].heard(message.events if isinstance(message, Batch) else ())
        if isinstance(message, Done):
            del self._running[slot]
        elif isinstance(message, Crash | Died):
            logger.info("%s: not measured beside its training: %s", measuring.attempt[0], message)
            self._drop(slot)
        elif isinstance(message, Batch):
            # Where the process is says nothing of the trial, which is where it trains.
            events = tuple(its for its in message.events if not isinstance(its, Progress))
            try:
                new = self._store.record(*measuring.attempt, events)
            except RefusedError as error:
                logger.warning("%s", error)
                self._drop(slot)
            else:
                return Found(measuring.phase.planned, events, new)
        return None

    def end_hung(self) -> None:
        """End what has said nothing for too long."""
        for slot in [slot for slot in self._running if self._watches[slot].is_over]:
            self._drop(slot)

    def end(self, trial_id: str, number: int) -> None:
        """Measure nothing more beside an attempt, which has ended."""
        mine = (trial_id, number)
        if self._asked.pop(mine, None) is None:
            return
        self._waiting = [its for its in self._waiting if its.attempt != mine]
        for slot in [slot for slot, its in self._running.items() if its.attempt == mine]:
            self._drop(slot)

    def _drop(self, slot: Slot) -> None:
        del self._running[slot]
        self._executor.drop(slot)
