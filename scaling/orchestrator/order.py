"""The order in which trials start.

`critical-path`, the default, starts what takes longest from here to its end first, in seconds on
the devices that it gets; a trunk counts with the longest cooldown that branches off it. So nothing
long is left over for the end, when the other slots are idle. A trial that occupies a quarter of
all devices or more counts twice: few of them fit beside each other, so they queue. But before that
comes **early coverage**: of each row (a family and a model on a training set) the trial that gives
a number soonest, the cheapest rows first, as long as these are at most 5 % of the compute that is
left. They cost the end of the run that much at most, and a first law can be fitted minutes after
the start instead of near the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from scaling.orchestrator.pace import Pace, devices
from scaling.orchestrator.survey import Survey
from scaling.plan import Plan, PlannedTrial

Order = Literal["critical-path", "cheapest", "longest", "as-written"]

COVERAGE = 0.05
"""Most of the compute left that early coverage may put before the critical path."""

_WIDE = 0.25
"""Of all devices; what occupies as much or more counts `_WIDE_COUNTS` times as long."""

_WIDE_COUNTS = 2.0

Rank = tuple[int, float, int]
"""Early coverage or not; urgency, ascending; the place of its first cell in the grid."""


@dataclass(frozen=True)
class Costs:
    """What trials are expected to take."""

    seconds_per_sample: Mapping[str, float]
    """By trial; the unit does not matter."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of all devices, by trial; absent where trials do not run beside each other."""


def costs_by(pace: Pace, plan: Plan, shares: Mapping[str, float] | None = None) -> Costs:
    """Seconds by what was measured; before that GFLOPs, shared by the devices of each trial."""
    seconds = {}
    for planned in plan.trials:
        expected = pace.seconds(planned, 1)
        if expected is None:
            expected = planned.profile.lean_gflops / devices(planned)
        seconds[planned.trial.id] = expected
    return Costs(seconds, shares or {})


def ranks(
    plan: Plan, survey: Survey, order: Order = "critical-path", costs: Costs | None = None
) -> dict[str, Rank]:
    """The rank of each trial that `survey` found left of `plan`; the lowest starts first."""
    costs = costs or costs_by(Pace(), plan)
    trials = {planned.trial.id: planned for planned in plan.trials}
    positions = _positions(plan)
    left = compute_of(trials, survey)
    first: set[str] = set()
    match order:
        case "critical-path":
            paths = longest_paths(survey, costs)
            urgency = {
                trial_id: -path * (_WIDE_COUNTS if costs.shares.get(trial_id, 0) >= _WIDE else 1)
                for trial_id, path in paths.items()
            }
            first = early_coverage(trials, survey)
        case "cheapest":
            urgency = left
        case "longest":
            urgency = {trial_id: -gflops for trial_id, gflops in left.items()}
        case "as-written":
            urgency = dict.fromkeys(left, 0.0)
    return {
        trial_id: (0, left[trial_id], positions[trial_id])
        if trial_id in first
        else (1, urgency[trial_id], positions[trial_id])
        for trial_id in survey.left
    }


def compute_of(trials: Mapping[str, PlannedTrial], survey: Survey) -> dict[str, float]:
    """Forward GFLOPs of what is left of each trial."""
    return {
        trial_id: left.samples * trials[trial_id].profile.lean_gflops
        for trial_id, left in survey.left.items()
    }


def longest_paths(survey: Survey, costs: Costs) -> dict[str, float]:
    """Seconds from the start of each trial to the last end of anything that needs it."""
    left, per_sample = survey.left, costs.seconds_per_sample
    paths = {trial_id: its.samples * per_sample[trial_id] for trial_id, its in left.items()}
    for cooldown_id, (trunk_id, branch_point) in survey.waiting.items():
        # Nothing branches off a cooldown, so its own path is known.
        before = max(0, branch_point - left[trunk_id].start) * per_sample[trunk_id]
        paths[trunk_id] = max(paths[trunk_id], before + paths[cooldown_id])
    return paths


def early_coverage(trials: Mapping[str, PlannedTrial], survey: Survey) -> set[str]:
    """The cheapest trial of each row that has no number yet, with its trunk, within `COVERAGE`.

    Nothing is taken off a slot once it runs, so a trunk counts as a whole.
    """
    done = {_row(trials[trial_id]) for trial_id in survey.done if _gives_numbers(trials[trial_id])}
    compute = compute_of(trials, survey)
    cheapest: dict[tuple[str, str, str], tuple[float, tuple[str, ...]]] = {}
    for trial_id in survey.left:
        planned = trials[trial_id]
        row = _row(planned)
        if row in done or not _gives_numbers(planned):
            continue
        chain = _chain(trial_id, survey)
        gflops = sum([compute[member] for member in chain])
        if row not in cheapest or gflops < cheapest[row][0]:
            cheapest[row] = gflops, chain
    allowed = COVERAGE * sum(compute.values())
    first: set[str] = set()
    for gflops, chain in sorted(cheapest.values()):
        allowed -= gflops
        if allowed < 0:
            break
        first.update(chain)
    return first


def _positions(plan: Plan) -> dict[str, int]:
    """The place of the first cell that each trial serves; a trunk serves its cooldowns' cells."""
    # Cells share their trials' objects, whose ids are digests that take a while.
    cells: dict[int, int] = {}
    for position, cell in enumerate(plan.cells):
        cells.setdefault(id(cell.trial), position)
    positions: dict[str, int] = {}
    for planned in reversed(plan.trials):  # Cooldowns come after their trunks.
        trial_id = planned.trial.id
        position = cells.get(id(planned.trial), len(cells))
        positions[trial_id] = min(position, positions.get(trial_id, position))
        if planned.branch:
            trunk_id = planned.branch[0]
            positions[trunk_id] = min(positions[trial_id], positions.get(trunk_id, position))
    return positions


def _chain(trial_id: str, survey: Survey) -> tuple[str, ...]:
    """A trial and the trunk that it waits for."""
    branch = survey.waiting.get(trial_id)
    return (trial_id, branch[0]) if branch else (trial_id,)


def _row(planned: PlannedTrial) -> tuple[str, str, str]:
    trial = planned.trial
    return trial.family, trial.model, trial.data.canonical


def _gives_numbers(planned: PlannedTrial) -> bool:
    """Whether anything is measured on it, as on a trunk that only branches nothing is."""
    return any(stop.tasks for stop in planned.stops)
