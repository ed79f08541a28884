"""How far a run is and how long it will take; what displays show, without drawing it."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scaling.plan import PlannedTrial
from scaling.store import TrialState
from scaling.trial import CurvePoint, Event, Progress

_FINISHED = {TrialState.COMPLETE, TrialState.FAILED, TrialState.DIVERGED, TrialState.BLOCKED}


@dataclass
class Task:
    """A trial that was not done when the run began, and where it is now."""

    planned: PlannedTrial
    start: int
    """Samples seen where this run began with it."""
    end: int
    samples_seen: int = 0
    loss: float | None = None
    samples_per_second: float = 0.0
    phase: str = ""
    state: TrialState = TrialState.PENDING
    note: str = ""
    busy_seconds: float = 0.0
    """In attempts that have ended."""
    began: float = 0.0

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return self.planned.trial.id

    @property
    def fraction(self) -> float:
        """How much of what was left at the start is trained."""
        if self.state is TrialState.COMPLETE or self.end == self.start:
            return 1.0 if self.state is TrialState.COMPLETE else 0.0
        return min(1.0, max(0.0, (self.samples_seen - self.start) / (self.end - self.start)))


class Tally:
    """The tasks of a run, kept up to date by what the loop says."""

    def __init__(
        self, tasks: Sequence[Task], done: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`done` trials were complete before."""
        self.tasks = {task.trial_id: task for task in tasks}
        self.done_before = done
        self.slots = 1
        self._clock = clock
        self._rates: dict[tuple[str, str], float] = {}
        """Samples per second in training, as last seen, by family and model."""
        self._gflops: dict[tuple[str, str], float] = {}
        """The same times the model's GFLOPs per sample."""

    def state(self, trial_id: str, state: TrialState, note: str) -> None:
        """Note that a trial is in another state."""
        task = self.tasks[trial_id]
        now = self._clock()
        if task.state is TrialState.RUNNING:
            task.busy_seconds += now - task.began
        if state is TrialState.RUNNING:
            task.began = now
            task.samples_seen = max(task.samples_seen, task.start)
        task.state, task.note, task.phase = state, note, ""

    def events(self, events: Iterable[Event]) -> None:
        """Note where trials are."""
        for event in events:
            task = self.tasks[event.trial_id]
            task.samples_seen = max(task.start, event.samples_seen)
            if isinstance(event, Progress):
                task.loss, task.phase = event.loss, event.phase
                if event.samples_per_second > 0:
                    task.samples_per_second = event.samples_per_second
                    gflops = task.planned.profile.lean_gflops
                    self._rates[_model(task)] = event.samples_per_second
                    self._gflops[_model(task)] = event.samples_per_second * gflops
            elif isinstance(event, CurvePoint):
                task.loss = event.loss

    def count(self, *states: TrialState) -> int:
        """How many of the tasks are in one of `states`."""
        return sum(task.state in states for task in self.tasks.values())

    @property
    def finished(self) -> int:
        """How many of the tasks will not change any more."""
        return self.count(*_FINISHED)

    def seconds_left(self) -> float | None:
        """Until the last task ends; None before anything was measured.

        Training time by the rate of each model (that of the others, by GFLOPs, where it has none
        yet), times what evaluation, saving and starting have added to it so far.
        """
        if not self._rates:
            return None
        tasks = self.tasks.values()
        trained = sum(self._training_seconds(t, t.samples_seen - t.start) for t in tasks)
        unfinished = [task for task in tasks if task.state not in _FINISHED]
        left = sum(
            self._training_seconds(task, task.end - max(task.start, task.samples_seen))
            for task in unfinished
        )
        overhead = max(1.0, self._busy_seconds() / trained) if trained > 0 else 1.0
        return left * overhead / max(1, min(self.slots, len(unfinished)))

    def _busy_seconds(self) -> float:
        now = self._clock()
        return sum(
            task.busy_seconds + (now - task.began if task.state is TrialState.RUNNING else 0)
            for task in self.tasks.values()
        )

    def _training_seconds(self, task: Task, samples: int) -> float:
        rate = self._rates.get(_model(task))
        if rate is None:
            speed = sum(self._gflops.values()) / len(self._gflops)
            rate = speed / task.planned.profile.lean_gflops
        return max(0, samples) / rate


def _model(task: Task) -> tuple[str, str]:
    return task.planned.trial.family, task.planned.trial.model
