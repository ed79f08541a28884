"""How far a run is and how long it will take; what displays show, without drawing it."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from scaling.plan import PlannedTrial
from scaling.store import TrialState
from scaling.trial import CurvePoint, Event, Note, Progress, Throughput

_FINISHED = {
    TrialState.COMPLETE,
    TrialState.FAILED,
    TrialState.DIVERGED,
    TrialState.BLOCKED,
    TrialState.STOPPED,
}


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
    gpu_bytes: int = 0
    attempt: int | None = None
    state: TrialState = TrialState.PENDING
    busy_seconds: float = 0.0
    """In attempts that have ended."""
    began: float | None = None
    """When the attempt that is being made first said something."""

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return self.planned.trial.id

    @property
    def fraction(self) -> float:
        """How much of what was left at the start is trained."""
        if self.state is TrialState.COMPLETE:
            return 1.0
        if self.end == self.start:
            return 0.0
        return min(1.0, max(0.0, (self.samples_seen - self.start) / (self.end - self.start)))


class Tally:
    """The tasks of a run, kept up to date by what the loop says."""

    def __init__(
        self, tasks: Sequence[Task], done: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`done` trials were complete before."""
        # Several displays may each keep a tally of the same tasks.
        self.tasks = {task.trial_id: replace(task) for task in tasks}
        self.done_before = done
        self.slots = 1
        self._clock = clock
        self._rates: dict[tuple[str, str], float] = {}
        """Samples per second in training, as last seen, by family and model."""
        self._gflops: dict[tuple[str, str], float] = {}
        """The same times the model's GFLOPs per sample."""

    def state(self, trial_id: str, state: TrialState, attempt: int | None = None) -> None:
        """Note that a trial is in another state, with the attempt that begins if one does."""
        task = self.tasks[trial_id]
        task.attempt = attempt or task.attempt
        task.samples_per_second, task.gpu_bytes = 0.0, 0
        task.busy_seconds += self._busy_now(task)
        task.began = None
        task.samples_seen = max(task.samples_seen, task.start)
        task.state = state
        task.phase = "starting" if state is TrialState.RUNNING else ""

    def events(self, events: Iterable[Event]) -> None:
        """Note where trials are."""
        for event in events:
            task = self.tasks[event.trial_id]
            if isinstance(event, Note | Throughput):
                continue
            if task.began is None and task.state is TrialState.RUNNING:
                # Not earlier: a process that starts says nothing about those that have.
                task.began = self._clock()
            task.samples_seen = max(task.start, event.samples_seen)
            if isinstance(event, Progress):
                task.loss, task.phase = event.loss, event.phase
                task.gpu_bytes = max(task.gpu_bytes, event.gpu_bytes)
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
    def running(self) -> list[Task]:
        """The tasks that an attempt is made at."""
        return [task for task in self.tasks.values() if task.state is TrialState.RUNNING]

    @property
    def samples_per_second(self) -> float:
        """In training, by all that runs, together."""
        return sum(task.samples_per_second for task in self.running)

    @property
    def fraction(self) -> float:
        """How much of the compute left at the start is done; what failed will cost no more."""
        whole = done = 0.0
        for task in self.tasks.values():
            gflops = (task.end - task.start) * task.planned.profile.lean_gflops
            whole += gflops
            done += gflops * (1.0 if task.state in _FINISHED else task.fraction)
        return done / whole if whole else 1.0

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
        busy = sum(task.busy_seconds + self._busy_now(task) for task in tasks)
        overhead = max(1.0, busy / trained) if trained > 0 else 1.0
        return left * overhead / max(1, min(self.slots, len(unfinished)))

    def _busy_now(self, task: Task) -> float:
        return 0.0 if task.began is None else self._clock() - task.began

    def _training_seconds(self, task: Task, samples: int) -> float:
        rate = self._rates.get(_model(task))
        if rate is None:
            speed = sum(self._gflops.values()) / len(self._gflops)
            rate = speed / task.planned.profile.lean_gflops
        return max(0, samples) / rate


def _model(task: Task) -> tuple[str, str]:
    return task.planned.trial.family, task.planned.trial.model
