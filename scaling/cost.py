"""Samples and compute of a plan, and what sharing trunks saves.

Compute is forward GFLOPs in the reference study's counting (`Profile.published_gflops`) times
samples; training costs about three times as much.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from scaling.plan import Plan, PlannedTrial
from scaling.trial import Cosine


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What some trials train on and what that computes."""

    samples: int
    gflops: float


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Compute of the cells that share trunks, against one independent trial for each of them."""

    with_gflops: float
    without_gflops: float

    @property
    def saved(self) -> float:
        """Fraction of the independent trials' compute that sharing saves."""
        return 1 - self.with_gflops / self.without_gflops if self.without_gflops else 0.0


def cost(trials: Iterable[PlannedTrial]) -> Cost:
    """Samples and forward GFLOPs of `trials`."""
    trials = list(trials)
    return Cost(
        samples=sum(planned.samples for planned in trials),
        gflops=sum(planned.samples * planned.profile.published_gflops for planned in trials),
    )


def shared(plan: Plan) -> Sharing:
    """What the constant-rate cells of `plan` cost together, and what they would cost alone."""
    planned = {its.trial.id: its for its in plan.trials}
    alone = sum(
        cell.samples_seen * planned[cell.trial.id].profile.published_gflops
        for cell in plan.cells
        if not isinstance(cell.trial, Cosine)
    )
    together = cost(its for its in plan.trials if not isinstance(its.trial, Cosine))
    return Sharing(with_gflops=together.gflops, without_gflops=alone)


def by_family(plan: Plan) -> dict[str, list[PlannedTrial]]:
    """The trials of each family, in the plan's order."""
    families: defaultdict[str, list[PlannedTrial]] = defaultdict(list)
    for planned in plan.trials:
        families[planned.trial.family].append(planned)
    return dict(families)
