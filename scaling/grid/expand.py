"""Cells and trials of a validated grid."""

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from scaling.errors import GridError, ScalingError
from scaling.evals import TASKS
from scaling.families import FAMILIES, Profile, find_model
from scaling.grid.machine import Strict, of_model
from scaling.grid.spec import Grid, Match, RecipeRule, Schedule
from scaling.plan import Cell, Plan, PlannedTrial, Resources, with_branch_points
from scaling.trial import Cooldown, Cosine, Execution, Recipe, Trial, Trunk
from scaling.units import format_count

_DEFAULT_COOLDOWN = 0.2
"""Fraction of each length; Hägele et al. 2024 (arXiv:2405.18392) find 10-20 % enough."""


class _Asked(NamedTuple):
    """Everything that tells cells apart but the recipe."""

    family: str
    model: str
    dataset: str
    schedule: Schedule
    samples_seen: int
    seed: int


def expand(grid: Grid, *, text: str, source: str) -> Plan:
    """The plan of `grid`; raises `GridError` naming `source` with every problem at once."""
    problems = _unknown_models(grid) + _unable_families(grid)
    cells: list[Cell] = []
    if not problems:
        for asked in _combinations(grid):
            try:
                cells += _cells(grid, asked)
            except ValueError as error:
                problems.append(str(error))
    if not problems and not cells:
        problems = ["exclude: leaves no cell at all"]
    if problems:
        raise GridError(source, _shortened(problems))
    return Plan(
        study=grid.study,
        cells=tuple(cells),
        trials=_trials(grid, cells),
        grid_text=text,
        held_out_above_gflops=grid.held_out,
    )


def _unknown_models(grid: Grid) -> list[str]:
    """A model that a family does not have, unless every such cell is excluded."""
    problems = []
    for family, (position, model) in itertools.product(grid.families, enumerate(grid.models)):
        excluded = any(
            rule.samples_seen is None
            and rule.datasets is None
            and rule.schedules is None
            and rule.seeds is None
            and _matches_names(rule, family, model)
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
    for (position, name), family in itertools.product(enumerate(grid.evaluate), grid.families):
        able = FAMILIES.get(family).abilities
        if (needed := TASKS.get(name).needs) not in able:
            others = [task for task in TASKS.names() if TASKS.get(task).needs in able]
            problems.append(
                f"evaluate.{position}: {name} needs {needed}, which {family} does not give "
                f"(tasks for {family}: {', '.join(others) or 'none'}); a family with tasks of its "
                "own takes a grid of its own"
            )
    return problems


def _combinations(grid: Grid) -> Iterator[_Asked]:
    """The cross product without what is excluded."""
    for coordinates in itertools.product(
        grid.families, grid.models, grid.datasets, grid.schedules, grid.samples_seen, grid.seeds
    ):
        asked = _Asked(*coordinates)
        if not any(_matches(rule, asked) for rule in grid.exclude):
            yield asked


def _cells(grid: Grid, asked: _Asked) -> Iterator[Cell]:
    """One cell for each recipe of the sweep; raises `ValueError` naming the key at fault."""
    position, rule = next(
        ((f"recipes.{i}", rule) for i, rule in enumerate(grid.recipes) if _matches(rule, asked)),
        ("the default recipe", RecipeRule()),
    )
    for batch_size, learning_rate, warmup, weight_decay, caption_loss_weight in itertools.product(
        rule.batch_size,
        rule.learning_rate,
        rule.warmup,
        rule.weight_decay,
        rule.caption_loss_weight,
    ):
        length = _whole_batches(grid, asked.samples_seen, batch_size, position)
        recipe = Recipe(
            batch_size=batch_size,
            learning_rate=learning_rate,
            warmup_samples=warmup.samples(batch_size, length),
            weight_decay=weight_decay,
            beta1=rule.beta1,
            beta2=rule.beta2,
            eps=rule.eps,
            grad_clip=rule.grad_clip,
            caption_loss_weight=caption_loss_weight,
            precision=rule.precision,
            optimizer=rule.optimizer,
            optimizer_options=rule.optimizer_options or None,
            patch_dropout=rule.patch_dropout,
            pad=rule.pad,
        )
        trunk = Trunk(
            family=asked.family,
            model=asked.model,
            data=grid.datasets[asked.dataset],
            recipe=recipe,
            seed=asked.seed,
        )
        trial = _trial(trunk, asked.schedule, length)
        constant_until = trial.branch_point if isinstance(trial, Cooldown) else length
        if recipe.warmup_samples >= constant_until:
            raise ValueError(
                f"{position}.warmup: {warmup} is {recipe.warmup_samples:,} samples, which leaves "
                f"nothing of {asked.family} {asked.model} {asked.schedule.label} at "
                f"{format_count(length)} samples: it must end before {constant_until:,}"
            )
        yield Cell(
            family=asked.family,
            model=asked.model,
            dataset=asked.dataset,
            schedule=asked.schedule.label,
            samples_seen=length,
            seed=asked.seed,
            trial=trial,
        )


def _trial(trunk: Trunk, schedule: Schedule, samples_seen: int) -> Trial:
    """The trial that serves a cell: the trunk itself, a branch of it, or a cosine of its own."""
    if schedule.kind == "const":
        return trunk
    shared: dict[str, Any] = {
        **{spec.name: getattr(trunk, spec.name) for spec in dataclasses.fields(trunk)},
        "samples_seen": samples_seen,
    }
    if schedule.kind == "cosine":
        return Cosine(**shared)
    batch_size = trunk.recipe.batch_size
    decay = max(1, round((schedule.cooldown or _DEFAULT_COOLDOWN) * samples_seen / batch_size))
    return Cooldown(
        **shared,
        branch_point=samples_seen - decay * batch_size,
        shape=schedule.shape or "linear",
    )


def _trials(grid: Grid, cells: list[Cell]) -> tuple[PlannedTrial, ...]:
    """Each trial once, trunks first, with its stops."""
    trials: dict[str, Trial] = {}
    tasks_at: defaultdict[str, dict[int, tuple[str, ...]]] = defaultdict(dict)
    for cell in cells:
        trial_id = cell.trial.id
        trials[trial_id] = cell.trial
        tasks_at[trial_id][cell.samples_seen] = grid.evaluate
        if isinstance(cell.trial, Cooldown):
            trunk = cell.trial.trunk
            trials.setdefault(trunk.id, trunk)
    stops = with_branch_points(trials, tasks_at)
    planned = [
        PlannedTrial(
            trial=trial,
            stops=stops[trial_id],
            profile=_profile(trial.family, trial.model),
            resources=Resources(**_fields(of_model(grid.resources, trial.model))),
            execution=Execution(**_fields(of_model(grid.execution, trial.model))),
        )
        for trial_id, trial in trials.items()
    ]
    return tuple(sorted(planned, key=lambda planned: isinstance(planned.trial, Cooldown)))


def _fields(rule: Strict | None) -> dict[str, Any]:
    return rule.model_dump() if rule else {}


@cache
def _profile(family: str, model: str) -> Profile:
    return FAMILIES.get(family).profile(model)


def _whole_batches(grid: Grid, samples_seen: int, batch_size: int, position: str) -> int:
    """`samples_seen` in whole batches; raises `ValueError` naming the nearest whole ones."""
    below = samples_seen // batch_size * batch_size
    if below == samples_seen:
        return samples_seen
    if grid.round_to_batch:
        return max(batch_size, round(samples_seen / batch_size) * batch_size)
    nearest = f"{below:,} or {below + batch_size:,}" if below else f"{batch_size:,}"
    raise ValueError(
        f"samples_seen: {samples_seen:,} is not a whole number of batches of {batch_size} "
        f"({position}); the nearest are {nearest}; or say 'round_to_batch: true'"
    )


def _matches_names(rule: Match, family: str, model: str) -> bool:
    return (rule.families is None or family in rule.families) and (
        rule.models is None or model in rule.models
    )


def _matches(rule: Match, asked: _Asked) -> bool:
    return (
        _matches_names(rule, asked.family, asked.model)
        and (rule.datasets is None or asked.dataset in rule.datasets)
        and (rule.schedules is None or asked.schedule.label in rule.schedules)
        and (rule.samples_seen is None or rule.samples_seen(asked.samples_seen))
        and (rule.seeds is None or asked.seed in rule.seeds)
    )


def _shortened(problems: list[str]) -> list[str]:
    """Each problem once, in order; a grid of thousands of cells has few distinct ones."""
    distinct = list(dict.fromkeys(problems))
    return distinct if len(distinct) <= 20 else [*distinct[:20], f"and {len(distinct) - 20} more"]
