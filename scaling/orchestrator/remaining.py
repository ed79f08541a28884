"""What a plan asks for and the store does not have: the work that is left, and where it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from scaling.plan import PlannedTrial
from scaling.trial import Checkpoint, Stop


@dataclass(frozen=True)
class Remaining:
    """What is left of one trial."""

    stops: tuple[Stop, ...]
    """Where something is left to measure, or a checkpoint to make that a cooldown needs."""
    start: int
    """Samples seen where training will begin or go on."""
    places: tuple[int, ...] = ()
    """Samples seen from which training can go on: its beginning, and the checkpoints there are."""

    @cached_property
    def samples(self) -> int:
        """Samples left to train on."""
        return max(0, self.stops[-1].samples_seen - self.start) if self.stops else 0

    @property
    def samples_until(self) -> tuple[int, ...]:
        """Samples to train on until each of `stops`; training leaps to checkpoints before them."""
        seen = trained = 0
        until = []
        for stop in self.stops:
            usable = (place for place in self.places if place <= stop.samples_seen)
            seen = max(seen, max(usable, default=min(self.start, stop.samples_seen)))
            trained += stop.samples_seen - seen
            seen = stop.samples_seen
            until.append(trained)
        return tuple(until)


def unmeasured(planned: PlannedTrial, measured: set[tuple[int, str]]) -> tuple[Stop, ...]:
    """The stops with tasks that were not measured there, and only those tasks."""
    left = (
        Stop(
            samples_seen=stop.samples_seen,
            tasks=tuple(task for task in stop.tasks if (stop.samples_seen, task) not in measured),
        )
        for stop in planned.stops
    )
    return tuple(stop for stop in left if stop.tasks)


def remaining(
    planned: PlannedTrial,
    measured: set[tuple[int, str]],
    present: Sequence[Checkpoint],
    branch_points: Sequence[int] = (),
) -> Remaining:
    """What is left of a trial that has these measurements and these checkpoint files.

    `branch_points` are where cooldowns that are not done start from.
    """
    there = {checkpoint.samples_seen for checkpoint in present}
    tasks = {stop.samples_seen: stop.tasks for stop in unmeasured(planned, measured)}
    for branch_point in branch_points:
        if branch_point not in there:
            tasks.setdefault(branch_point, ())
    if tasks:
        for rung in planned.rungs:
            missing = tuple(its for its in rung.tasks if (rung.samples_seen, its) not in measured)
            if missing:
                tasks.setdefault(rung.samples_seen, missing)
    stops = tuple(Stop(samples_seen=n, tasks=tasks[n]) for n in sorted(tasks))
    begin = planned.branch[1] if planned.branch else 0
    if not stops:
        return Remaining((), begin)
    usable = [n for n in there if n <= stops[-1].samples_seen]
    return Remaining(stops, max(usable, default=begin), (begin, *sorted(there)))


def needs_trunk(left: Remaining, present: Sequence[Checkpoint]) -> bool:
    """Whether a cooldown with this left has no checkpoint of its own to go on from."""
    first = left.stops[0].samples_seen
    return not any(checkpoint.samples_seen <= first for checkpoint in present)
