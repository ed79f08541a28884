"""Cells and trials of a validated grid."""

import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from scaling.errors import GridError, ScalingError
from scaling.evals._catalogue import CATALOGUE
from scaling.evals._evaluation import Evaluation
from scaling.families import FAMILIES, find_model
from scaling.grid.cells import Asked, CellMaker, matches, matches_names
from scaling.grid.machine import Strict, of_model
from scaling.grid.spec import Grid
from scaling.grid.sweeps import sweeps_of
from scaling.plan import Cell, Plan, PlannedTrial, Resources, Sweep, with_branch_points
from scaling.trial import Cooldown, Execution, Stop, Trial

SETS_VARIABLE = "SCALING_EVALUATION_SETS"
"""The environment's word for the folder of evaluation sets."""
_SHOWN = 8
"""Tasks that a message lists."""


def expand(grid: Grid, *, text: str, source: str) -> Plan:
    """The plan of `grid`; raises `GridError` naming `source` with every problem at once."""
    problems = _unknown_models(grid) + _unable_families(grid)
    cells: list[Cell] = []
    if not problems:
        maker = CellMaker(grid)
        for asked in _combinations(grid):
            try:
                cells += maker.cells(asked)
            except ValueError as error:
                problems.append(str(error))
    if not problems and not cells:
        problems = ["exclude: leaves no cell at all"]
    problems += _unmeasured(grid, cells)
    if problems:
        raise GridError(source, _shortened(problems))
    sweeps = _sweeps(grid, cells)
    return Plan(
        study=grid.study,
        cells=tuple(cells),
        trials=_trials(grid, cells, sweeps),
        sweeps=sweeps,
        grid_text=text,
        held_out_above_gflops=grid.held_out,
        evaluation=evaluation_of(grid, [rule.task for rule in grid.measured]),
    )


def _sweeps(grid: Grid, cells: list[Cell]) -> tuple[Sweep, ...]:
    if grid.sweep is None:
        return ()
    return sweeps_of(
        cells, grid.sweep, grid.sweep.metric or grid.task(grid.sweep.task).main_metric
    )


def evaluation_of(grid: Grid, tasks: Iterable[str]) -> Evaluation:
    """How `grid` measures these tasks, which it or the catalogue declares."""
    return Evaluation(
        tasks={name: grid.task(name) for name in tasks},
        sets=sets_folder(grid.evaluation_sets),
        broken=grid.broken_images,
    )


def sets_folder(said: Path | None = None) -> Path | None:
    """The folder of evaluation sets: as `said`, or as the environment says it."""
    folder = said or os.environ.get(SETS_VARIABLE)
    return Path(folder).expanduser().absolute() if folder else None


def _unknown_models(grid: Grid) -> list[str]:
    """A model that a family does not have, unless every such cell is excluded."""
    problems = []
    for family, (position, model) in itertools.product(grid.families, enumerate(grid.models)):
        excluded = any(
            rule.samples_seen is None
            and rule.datasets is None
            and rule.schedules is None
            and rule.seeds is None
            and matches_names(rule, family, model)
            for rule in grid.exclude
        )
        if excluded:
            continue
        try:
            find_model(family, model)
        except ScalingError as error:
            problems.append(f"models.{position}: {error}")
    return problems


def _unable_families(grid: Grid) -> list[str]:
    """A task that needs what networks of a family do not give."""
    problems = []
    for (position, rule), family in itertools.product(enumerate(grid.evaluate), grid.families):
        if rule.families is not None and family not in rule.families:
            continue
        able = {None, *FAMILIES.get(family).abilities}
        needed = {grid.task(name).of_kind.needs for name in grid.tasks_of(rule)} - able
        if needed:
            others = [task for task in CATALOGUE if CATALOGUE[task].of_kind.needs in able]
            problems.append(
                f"evaluate.{position}: {rule.task} needs {', '.join(sorted(map(str, needed)))}, "
                f"which {family} does not give (tasks for {family}: {_some(others)}); to measure "
                f"it for others, write {{task: {rule.task}, families: [...]}}"
            )
    return problems


def _some(names: list[str]) -> str:
    return ", ".join([*names[:_SHOWN], "..."] if len(names) > _SHOWN else names) or "none"


def _unmeasured(grid: Grid, cells: list[Cell]) -> list[str]:
    """Cells for which there is no task."""
    if any(rule.is_for_all for rule in grid.evaluate):
        return []
    return [
        f"evaluate: has no task for {cell.family} {cell.model} at {cell.samples_seen:,} samples "
        f"({cell.dataset}, {cell.schedule}, seed {cell.seed})"
        for cell in cells
        if not any(matches(rule, cell) for rule in grid.evaluate)
    ]


def _combinations(grid: Grid) -> Iterator[Asked]:
    """The cross product without what is excluded."""
    for coordinates in itertools.product(
        grid.families, grid.models, grid.datasets, grid.schedules, grid.samples_seen, grid.seeds
    ):
        asked = Asked(*coordinates)
        if not any(matches(rule, asked) for rule in grid.exclude):
            yield asked


def _trials(grid: Grid, cells: list[Cell], sweeps: tuple[Sweep, ...]) -> tuple[PlannedTrial, ...]:
    """Each trial once, trunks first, with its stops."""
    tasks_of = _tasks(grid)
    trials: dict[str, Trial] = {}
    tasks_at: defaultdict[str, dict[int, tuple[str, ...]]] = defaultdict(dict)
    for cell in cells:
        trial_id = cell.trial.id
        trials[trial_id] = cell.trial
        others = tasks_at[trial_id].get(cell.samples_seen, ())
        tasks_at[trial_id][cell.samples_seen] = tasks_of(cell, others)
        if isinstance(cell.trial, Cooldown):
            trunk = cell.trial.trunk
            trials.setdefault(trunk.id, trunk)
    stops = with_branch_points(trials, tasks_at)
    rungs = {
        trial_id: tuple(Stop(samples_seen=n, tasks=(sweep.task,)) for n in its)
        for sweep in sweeps
        for trial_id, its in sweep.rungs.items()
    }
    common = cache(partial(_of_model, grid))
    planned = [
        PlannedTrial(
            trial=trial,
            stops=stops[trial_id],
            rungs=rungs.get(trial_id, ()),
            **common(trial.family, trial.model),
        )
        for trial_id, trial in trials.items()
    ]
    return tuple(sorted(planned, key=lambda planned: isinstance(planned.trial, Cooldown)))


def _tasks(grid: Grid) -> Callable[[Cell, tuple[str, ...]], tuple[str, ...]]:
    """What measures a cell, beside the tasks of other cells of its trial at the same samples."""
    rules = grid.measured
    every = tuple(dict.fromkeys(rule.task for rule in rules))
    if all(rule.is_for_all for rule in rules):
        return lambda cell, others: every

    def tasks_of(cell: Cell, others: tuple[str, ...]) -> tuple[str, ...]:
        its = {rule.task for rule in rules if matches(rule, cell)}
        return tuple(task for task in every if task in its or task in others)

    return tasks_of


def _of_model(grid: Grid, family: str, model: str) -> dict[str, Any]:
    """What all trials of a model have in common."""
    return {
        "profile": FAMILIES.get(family).profile(model),
        "resources": Resources(**_fields(of_model(grid.resources, model))),
        "execution": Execution(**_fields(of_model(grid.execution, model))),
        "measuring": Resources(**_fields(grid.evaluation_resources))
        if grid.evaluate_on == "separate"
        else None,
    }


def _fields(rule: Strict | None) -> dict[str, Any]:
    return rule.model_dump() if rule else {}


def _shortened(problems: list[str]) -> list[str]:
    """Each problem once, in order; a grid of thousands of cells has few distinct ones."""
    distinct = list(dict.fromkeys(problems))
    return distinct if len(distinct) <= 20 else [*distinct[:20], f"and {len(distinct) - 20} more"]
