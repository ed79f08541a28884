"""Early stopping of sweeps by asynchronous successive halving; off unless the grid asks for it.

A member of a sweep pauses at each rung, an intermediate checkpoint, and goes on if it is among the
best there: among the best 1/reduction of those that have arrived, or among as many of all once no
more can arrive. So nobody waits for the slowest, and at least one member of each sweep goes on to
its end. The others stay stopped; what was measured of them at rungs serves no cell, because no
cell asks a cosine trial for anything but its end.

Source: Li et al. 2020, arXiv:1810.05934, algorithm 2.
"""

from collections.abc import Collection, Iterable, Mapping

from scaling.evals import lower_is_better
from scaling.plan import Plan, Sweep
from scaling.trial import Event, Measurement

Values = Mapping[tuple[str, int, str, str], float]
"""By trial, samples seen, task and metric."""


class Bracket:
    """One sweep on its way through the rungs."""

    def __init__(self, sweep: Sweep) -> None:
        """Nobody has arrived anywhere."""
        self.sweep = sweep
        self._out: set[str] = set()
        """Members that failed, and will arrive nowhere."""
        self._limits: dict[str, int | None] = {}
        """As found since somebody arrived or failed last; the run loop asks all the time."""
        self._errors: list[dict[str, float]] = [{} for _ in range(sweep.levels)]
        self._promoted: list[set[str]] = [set() for _ in range(sweep.levels)]

    def arrived(self, trial_id: str, samples_seen: int, value: float) -> None:
        """A member was measured; anywhere but at a rung that says nothing."""
        rungs = self.sweep.rungs[trial_id]
        if samples_seen in rungs:
            error = value if lower_is_better(self.sweep.metric) else -value
            level = rungs.index(samples_seen)
            self._errors[level][trial_id] = error
            for below in self._promoted[:level]:
                below.add(trial_id)
            self._limits.clear()

    def fail(self, trial_id: str) -> None:
        """Wait no longer for a member."""
        self._out.add(trial_id)
        self._limits.clear()

    def limit(self, trial_id: str) -> int | None:
        """Samples seen at which a member pauses; None if it may go to its end."""
        if trial_id not in self._limits:
            self._limits[trial_id] = self._next_rung(trial_id)
        return self._limits[trial_id]

    def _next_rung(self, trial_id: str) -> int | None:
        for level, rung in enumerate(self.sweep.rungs[trial_id]):
            self._promote(level)
            if trial_id not in self._promoted[level]:
                return rung
        return None

    def is_stopped(self, trial_id: str) -> bool:
        """Whether a member was measured at a rung that it will never go beyond."""
        for level in range(self.sweep.levels):
            self._promote(level)
            if trial_id not in self._promoted[level]:
                return trial_id in self._errors[level] and self._is_final(level)
        return False

    def _promote(self, level: int) -> None:
        errors, reduction = self._errors[level], self.sweep.reduction
        keep = len(errors) // reduction
        if self._is_final(level):
            keep = max(keep, 1)
        self._promoted[level].update(sorted(errors, key=lambda its: (errors[its], its))[:keep])

    def _is_final(self, level: int) -> bool:
        """Whether nobody can arrive at a rung who has not."""
        members = [its for its in self.sweep.rungs if its not in self._out]
        missing = [its for its in members if its not in self._errors[level]]
        if level == 0 or not missing:
            return not missing
        return self._is_final(level - 1) and not self._promoted[level - 1].intersection(missing)


class Halving:
    """All sweeps of a plan that are halved."""

    def __init__(self, plan: Plan, values: Values, failed: Collection[str] = ()) -> None:
        """Begin with what earlier runs measured, and with who failed in them."""
        self._brackets = {its: b for b in map(Bracket, plan.sweeps) for its in b.sweep.rungs}
        for (trial_id, samples_seen, task, metric), value in values.items():
            self._arrived(trial_id, samples_seen, (task, metric), value)
        for trial_id in failed:
            self.fail(trial_id)

    def saw(self, events: Iterable[Event]) -> None:
        """Note who arrived at a rung."""
        for event in events:
            if isinstance(event, Measurement):
                metric = event.task, event.metric
                self._arrived(event.trial_id, event.samples_seen, metric, event.value)

    def fail(self, trial_id: str) -> None:
        """See `Bracket.fail`."""
        if bracket := self._brackets.get(trial_id):
            bracket.fail(trial_id)

    def limit(self, trial_id: str) -> int | None:
        """See `Bracket.limit`; None for what is no member."""
        bracket = self._brackets.get(trial_id)
        return bracket.limit(trial_id) if bracket else None

    def stopped(self, trial_ids: Iterable[str]) -> list[str]:
        """Those of `trial_ids` that will not go on."""
        return [
            trial_id
            for trial_id in trial_ids
            if trial_id in self._brackets and self._brackets[trial_id].is_stopped(trial_id)
        ]

    def _arrived(
        self, trial_id: str, samples_seen: int, metric: tuple[str, str], value: float
    ) -> None:
        bracket = self._brackets.get(trial_id)
        if bracket and metric == (bracket.sweep.task, bracket.sweep.metric):
            bracket.arrived(trial_id, samples_seen, value)
