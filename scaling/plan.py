"""What a grid asks for: cells, the trials that serve them, and what each trial must reach.

Plain data, made by `scaling.grid` and consumed by `scaling.store` and `scaling.orchestrator`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from scaling.evals._evaluation import Evaluation
from scaling.families import Profile
from scaling.trial import Cooldown, Execution, Stop, Trial


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one trial occupies while it runs."""

    gpus: float = 1.0
    """GPUs, or a fraction of one; on a machine without GPUs trials run on CPUs."""
    cpus: float = 1.0
    """CPU cores of each process."""
    processes: int = 1
    """Processes that train one trial on CPUs together; on GPUs it is one for each."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number that the grid asks for, and the trial and samples seen that give it."""

    family: str
    model: str
    dataset: str
    """The grid's name for the dataset."""
    schedule: str
    """The grid's name for the schedule: its kind, unless it was given a name."""
    samples_seen: int
    seed: int
    trial: Trial
    rule: str = "the default recipe"
    """What of the grid gives the recipe, e.g. 'recipes.0'."""


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """A trial and what it must reach."""

    trial: Trial
    stops: tuple[Stop, ...]
    """Ascending. A trunk stops at its branch points, and where `const` cells read it."""
    profile: Profile
    resources: Resources = Resources()
    execution: Execution = Execution()  # noqa: RUF009  # frozen
    measuring: Resources | None = None
    """What measuring occupies, apart from training; None if whoever trains measures too."""

    rungs: tuple[Stop, ...] = ()
    """Ascending, before the last stop: where a sweep decides whether this goes on; once the last
    stop is measured nobody needs them."""

    @property
    def branch(self) -> tuple[str, int] | None:
        """The trunk's id and the samples seen that this branches off at; None for the others."""
        if isinstance(self.trial, Cooldown):
            return self.trial.trunk.id, self.trial.branch_point
        return None

    @property
    def samples(self) -> int:
        """Samples that this trial trains on itself."""
        branched = self.trial.branch_point if isinstance(self.trial, Cooldown) else 0
        return self.stops[-1].samples_seen - branched


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Trials that differ in their recipe and serve one cell, of which most are stopped early."""

    rungs: Mapping[str, tuple[int, ...]]
    """By trial id the samples seen, ascending, at which it is compared; equally many for each."""
    task: str
    metric: str
    reduction: int
    """One of so many goes on at each rung."""

    @property
    def levels(self) -> int:
        """How many rungs each member has."""
        return len(next(iter(self.rungs.values())))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study: its cells and its trials, trunks before the cooldowns that branch off them."""

    study: str
    cells: tuple[Cell, ...]
    trials: tuple[PlannedTrial, ...]
    grid_text: str
    """The grid file as it was read, kept for provenance."""
    sweeps: tuple[Sweep, ...] = ()
    """Those that are stopped early; without the grid's word, none."""
    held_out_above_gflops: float | None = None
    """Compute above which points are held out of every fit, if the grid says so."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """What the names of tasks at stops stand for, and where their data is."""


def with_branch_points(
    trials: Mapping[str, Trial], tasks_at: Mapping[str, Mapping[int, tuple[str, ...]]]
) -> dict[str, tuple[Stop, ...]]:
    """The stops of each trial: where its own cells read it, and where others branch off it.

    `tasks_at` maps trial ids to tasks by samples seen. Trunks that only branch are measured
    nowhere.
    """
    stops: defaultdict[str, dict[int, tuple[str, ...]]] = defaultdict(dict)
    for trial_id, tasks in tasks_at.items():
        stops[trial_id].update(tasks)
    for branch in cooldowns(trials.values()):
        stops[branch.trunk.id].setdefault(branch.branch_point, ())
    stop_at = cache(lambda n, tasks: Stop(samples_seen=n, tasks=tasks))
    return {
        trial_id: tuple(stop_at(n, tasks[n]) for n in sorted(tasks))
        for trial_id, tasks in stops.items()
    }


def cooldowns(trials: Iterable[Trial]) -> list[Cooldown]:
    """Those of `trials` that branch off a trunk."""
    return [trial for trial in trials if isinstance(trial, Cooldown)]
