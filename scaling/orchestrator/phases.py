"""What an attempt at a trial does: all of it, or, where evaluations are separate, a phase of it.

Training alone reaches stops and saves checkpoints. Measuring alone restores those checkpoints, and
occupies what the plan says of evaluations instead of what training occupies. Both are attempts
like any other, one after the other, so that what holds of attempts holds of both.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from scaling.orchestrator.remaining import Remaining
from scaling.plan import PlannedTrial, Resources
from scaling.trial import Execution, Stop

_WHAT_IS_NEXT = {
    "everything": "what comes next is decided later",
    "training": "trained as far as it may be; measured next",
    "measuring": "measured as far as it is trained",
}


@dataclass(frozen=True)
class Phase:
    """One attempt's worth of a trial."""

    planned: PlannedTrial
    """With the resources that the attempt occupies."""
    left: Remaining
    """What is left for the attempt to do."""
    does: Literal["everything", "training", "measuring"] = "everything"

    @property
    def what_is_next(self) -> str:
        """For people, once such an attempt has ended as it should."""
        return _WHAT_IS_NEXT[self.does]

    def share(self, left: Remaining) -> Remaining:
        """Of what is `left` of the trial now, what such an attempt does."""
        if self.does == "everything":
            return left
        is_training = self.does == "training"
        stops = tuple(
            Stop(samples_seen=stop.samples_seen) if is_training else stop
            for stop in left.stops
            if (stop.samples_seen not in left.places) is is_training
        )
        return replace(left, stops=stops)


def phases(planned: PlannedTrial, left: Remaining) -> Iterator[Phase]:
    """What may be done next of a trial, training first: branches wait for checkpoints."""
    if planned.measuring is None or not left.stops:
        yield Phase(planned, left)
        return
    apart = _apart(planned, planned.measuring)
    for phase in (Phase(planned, left, "training"), Phase(apart, left, "measuring")):
        if (mine := phase.share(left)).stops:
            yield replace(phase, left=mine)


def occupying(planned: PlannedTrial, left: Remaining) -> Iterator[PlannedTrial]:
    """The trial with the resources of each kind of attempt that it may need from here on."""
    if planned.measuring is None:
        yield planned
        return
    if any(phase.does == "training" for phase in phases(planned, left)):
        yield planned
    yield _apart(planned, planned.measuring)


def _apart(planned: PlannedTrial, measuring: Resources) -> PlannedTrial:
    # One process measures, which has no batches to cut into parts and shares no network.
    return replace(planned, resources=measuring, execution=Execution())
