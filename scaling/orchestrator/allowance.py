"""What a run may still spend: which trials may start, and how far each may go.

Compute is counted exactly: a trial takes from the budget what it needs to its last affordable
checkpoint before it starts. Of an attempt that ends early, what it needed to the checkpoint that
it did not reach stays spent, so that the budget is never exceeded, whatever was lost on the way.
Times are estimates (`scaling.orchestrator.pace`); the end of a budget of time stops what still
runs.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf

from scaling.orchestrator.budget import Budget
from scaling.orchestrator.halving import Halving
from scaling.orchestrator.pace import Pace
from scaling.orchestrator.phases import Phase, phases
from scaling.orchestrator.remaining import Remaining
from scaling.plan import PlannedTrial
from scaling.trial import Checkpoint, Event, Measurement, Stop
from scaling.units import format_gflops

SECONDS_TO_SAVE = 60.0
"""Before GPU-hours are used up, what runs is asked to save where it is; it has so long."""

_MOST_TO_SAVE = 0.1
"""Of a small budget at most so much is kept for that."""

_SECONDS_PER_HOUR = 3600.0


@dataclass
class _Started:
    """An attempt that goes on."""

    planned: PlannedTrial
    stops: tuple[Stop, ...]
    """As far as it may go."""
    samples_until: tuple[int, ...]
    began: float
    estimate: float | None
    """Seconds to its last stop."""
    seen: int = -1
    """The last samples seen of which a checkpoint or a measurement was recorded."""

    @property
    def samples(self) -> int:
        """Samples trained on, at most: those to the first stop that was not reached."""
        beyond = [
            n
            for s, n in zip(self.stops, self.samples_until, strict=True)
            if s.samples_seen > self.seen
        ]
        return beyond[0] if beyond else self.samples_until[-1]


class Allowance:
    """A budget, and what the run has taken of it."""

    def __init__(
        self,
        budget: Budget,
        left: Mapping[str, Remaining],
        pace: Pace | None = None,
        halving: Halving | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`left` is what is left of each trial; `clock` gives seconds since the epoch."""
        self._budget = budget
        self._left = dict(left)
        self._pace = pace or Pace()
        self._halving = halving
        self._clock = clock
        self._started: dict[str, _Started] = {}
        self._gflops = 0.0
        """Of attempts that have ended; so are the next."""
        self._gpu_hours = 0.0

    @property
    def is_over(self) -> bool:
        """Whether a budget of time has ended, so that what runs must stop."""
        deadline = self._budget.deadline
        if deadline is not None and self._clock() >= deadline.timestamp():
            return True
        return self.must_save

    @property
    def must_save(self) -> bool:
        """Whether what is left of the GPU-hours is only enough to save what runs."""
        hours = self._budget.gpu_hours
        if hours is None:
            return False
        gpus = sum(its.planned.resources.gpus for its in self._started.values())
        to_save = min(_MOST_TO_SAVE * hours, gpus * SECONDS_TO_SAVE / _SECONDS_PER_HOUR)
        return self._gpu_hours_so_far() + to_save >= hours

    def next(self, planned: PlannedTrial) -> Phase | None:
        """What may be done of a trial within the budget; None if nothing may."""
        left = self._left[planned.trial.id]
        return next((its for its in phases(planned, left) if self._allows(its)), None)

    def heard(self, trial_id: str, left: Remaining) -> None:
        """Note what is left of a trial that does not run."""
        self._left[trial_id] = left

    def _allows(self, phase: Phase) -> bool:
        """Whether an attempt can reach its next checkpoint within the budget."""
        if not self._budget.is_limited and self._halving is None:
            return True
        left = phase.left
        if left.stops and not self._unhalved(phase.planned.trial.id, left):
            return False
        return not left.stops or self._affords(phase.planned, left.samples_until[0])

    @property
    def pace(self) -> Pace:
        """How fast trials train here."""
        return self._pace

    def seconds(self, phase: Phase) -> float:
        """How long an attempt that has not started is expected to take; infinite if unknown."""
        expected = self._pace.seconds(phase.planned, phase.left.samples)
        return inf if expected is None else expected

    def seconds_left(self, trial_id: str, samples_seen: int) -> float:
        """How long one that goes on takes from here; infinite if unknown."""
        started = self._started.get(trial_id)
        if started is None:
            return inf
        samples = max(0, started.stops[-1].samples_seen - samples_seen)
        expected = self._pace.seconds(started.planned, samples)
        return inf if expected is None else expected

    def begin(self, planned: PlannedTrial, left: Remaining) -> tuple[Stop, ...]:
        """Take from the budget what a trial needs now; the stops to which it may go."""
        until = left.samples_until
        count = len(left.stops)
        if self._budget.is_limited:
            within = [self._affords(planned, samples) for samples in until]
            # `allows` has said yes to the first; a second may have gone by since.
            count = max(1, next((i for i, yes in enumerate(within) if not yes), count))
        count = min(count, self._unhalved(planned.trial.id, left))
        stops = left.stops[:count]
        if stops:
            self._started[planned.trial.id] = _Started(
                planned,
                stops,
                until[:count],
                self._clock(),
                self._pace.seconds(planned, until[count - 1]),
            )
        return stops

    def _unhalved(self, trial_id: str, left: Remaining) -> int:
        """How many of the stops left are not beyond the rung where a sweep decides next."""
        limit = self._halving.limit(trial_id) if self._halving else None
        return sum(limit is None or stop.samples_seen <= limit for stop in left.stops)

    def reached(self, trial_id: str, left: Remaining) -> bool:
        """Whether an attempt has nothing left to do of what it was allowed to do."""
        started = self._started.get(trial_id)
        last = started.stops[-1].samples_seen if started else 0
        return all(stop.samples_seen > last for stop in left.stops)

    def saw(self, events: Iterable[Event]) -> None:
        """Note how far attempts are."""
        events = tuple(events)
        if self._halving is not None:
            self._halving.saw(events)
        for event in events:
            started = self._started.get(event.trial_id)
            if started is None:
                continue
            self._pace.saw(started.planned, event)
            if isinstance(event, Checkpoint | Measurement):
                started.seen = max(started.seen, event.samples_seen)

    def end(self, trial_id: str, left: Remaining | None) -> None:
        """Give back what an attempt has not spent; `left` is what is still to be done, if any."""
        started = self._started.pop(trial_id, None)
        if left is not None:
            self._left[trial_id] = left
        elif self._halving is not None:
            # Complete members have been everywhere; others will arrive nowhere any more.
            self._halving.fail(trial_id)
        if started is not None:
            seconds = self._clock() - started.began
            self._gflops += _gflops(started.planned, started.samples)
            self._gpu_hours += started.planned.resources.gpus * seconds / _SECONDS_PER_HOUR
            self._pace.ended(started.planned, started.samples, seconds)

    def __str__(self) -> str:
        """The limits, and what was spent of them."""
        budget, parts = self._budget, []
        if budget.gflops is not None:
            spent = self._gflops + self._promised_gflops()
            parts.append(
                f"{format_gflops(spent)} of {format_gflops(budget.gflops)} forward GFLOPs spent"
            )
        if budget.gpu_hours is not None:
            parts.append(f"{self._gpu_hours_so_far():.3g} of {budget.gpu_hours:g} GPU-hours spent")
        if budget.deadline is not None:
            moment = datetime.fromtimestamp(budget.deadline.timestamp())
            parts.append(f"deadline {moment:%Y-%m-%d %H:%M:%S}")
        return ", ".join(parts)

    def _affords(self, planned: PlannedTrial, samples: int) -> bool:
        """Whether `samples` more of a trial fit into what is left beside what runs."""
        budget = self._budget
        if budget.gflops is not None:
            taken = self._gflops + self._promised_gflops()
            if taken + _gflops(planned, samples) > budget.gflops:
                return False
        seconds = self._pace.seconds(planned, samples) or 0.0
        deadline = budget.deadline
        if deadline is not None and self._clock() + seconds > deadline.timestamp():
            return False
        if budget.gpu_hours is not None:
            hours = planned.resources.gpus * seconds / _SECONDS_PER_HOUR
            return self._promised_gpu_hours() + hours <= budget.gpu_hours
        return True

    def _promised_gflops(self) -> float:
        return sum(_gflops(its.planned, its.samples_until[-1]) for its in self._started.values())

    def _gpu_hours_so_far(self) -> float:
        now = self._clock()
        return self._gpu_hours + sum(
            its.planned.resources.gpus * (now - its.began) / _SECONDS_PER_HOUR
            for its in self._started.values()
        )

    def _promised_gpu_hours(self) -> float:
        """Those so far, and those that what runs will take to its last stop."""
        now = self._clock()
        return self._gpu_hours + sum(
            its.planned.resources.gpus
            * max(now - its.began, its.estimate or 0.0)
            / _SECONDS_PER_HOUR
            for its in self._started.values()
        )


def _gflops(planned: PlannedTrial, samples: int) -> float:
    return samples * planned.profile.published_gflops
