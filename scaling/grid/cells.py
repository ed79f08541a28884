"""The cells of one combination of a grid's axes, and the trials that serve them.

Cells share what they have in common, a recipe or a trunk, as one object: grids are large, and the
identity of each object is found once.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from scaling.grid.spec import Grid, Match, RecipeRule, Schedule
from scaling.grid.values import Warmup
from scaling.plan import Cell
from scaling.trial import Cooldown, Cosine, Recipe, Trial, Trunk
from scaling.units import format_count

DEFAULT_COOLDOWN = 0.2
"""Fraction of each length; Hägele et al. 2024 (arXiv:2405.18392) find 10-20 % enough."""


class Asked(NamedTuple):
    """Everything that tells cells apart but the recipe."""

    family: str
    model: str
    dataset: str
    schedule: Schedule
    samples_seen: int
    seed: int


class _Swept(NamedTuple):
    """One choice of the values that a recipe may sweep over, at one length."""

    batch_size: int
    learning_rate: float
    warmup_samples: int
    weight_decay: float
    caption_loss_weight: float


class CellMaker:
    """Makes the cells of a grid."""

    def __init__(self, grid: Grid) -> None:
        """Nothing is made yet."""
        self._grid = grid
        self._rules = [(f"recipes.{i}", rule) for i, rule in enumerate(grid.recipes)]
        self._default = ("the default recipe", RecipeRule())
        self._recipes: dict[tuple[str, _Swept], Recipe] = {}
        self._trunks: dict[tuple[str, str, str, int, str, _Swept], Trunk] = {}

    def cells(self, asked: Asked) -> Iterator[Cell]:
        """One cell for each recipe of the sweep; raises `ValueError` naming the key at fault."""
        position, rule = next(
            (named for named in self._rules if matches(named[1], asked)), self._default
        )
        for (
            batch_size,
            learning_rate,
            warmup,
            weight_decay,
            caption_loss_weight,
        ) in itertools.product(
            rule.batch_size,
            rule.learning_rate,
            rule.warmup,
            rule.weight_decay,
            rule.caption_loss_weight,
        ):
            length = _whole_batches(self._grid, asked.samples_seen, batch_size, position)
            swept = _Swept(
                batch_size,
                learning_rate,
                warmup.samples(batch_size, length),
                weight_decay,
                caption_loss_weight,
            )
            trial = _trial(self._trunk(asked, position, rule, swept), asked.schedule, length)
            _check_warmup(trial, length, warmup, position, asked.schedule)
            yield Cell(
                family=asked.family,
                model=asked.model,
                dataset=asked.dataset,
                schedule=asked.schedule.label,
                samples_seen=length,
                seed=asked.seed,
                trial=trial,
                rule=position,
            )

    def _trunk(self, asked: Asked, position: str, rule: RecipeRule, swept: _Swept) -> Trunk:
        key = (asked.family, asked.model, asked.dataset, asked.seed, position, swept)
        trunk = self._trunks.get(key)
        if trunk is None:
            trunk = self._trunks[key] = Trunk(
                family=asked.family,
                model=asked.model,
                data=self._grid.datasets[asked.dataset],
                recipe=self._recipe(position, rule, swept),
                seed=asked.seed,
            )
        return trunk

    def _recipe(self, position: str, rule: RecipeRule, swept: _Swept) -> Recipe:
        recipe = self._recipes.get((position, swept))
        if recipe is None:
            recipe = self._recipes[position, swept] = Recipe(
                **swept._asdict(),
                beta1=rule.beta1,
                beta2=rule.beta2,
                eps=rule.eps,
                grad_clip=rule.grad_clip,
                precision=rule.precision,
                optimizer=rule.optimizer,
                optimizer_options=rule.optimizer_options or None,
                patch_dropout=rule.patch_dropout,
                pad=rule.pad,
            )
        return recipe


def matches(rule: Match, asked: Asked | Cell) -> bool:
    """Whether `rule` is about a cell."""
    schedule = asked.schedule if isinstance(asked, Cell) else asked.schedule.label
    return (
        matches_names(rule, asked.family, asked.model)
        and (rule.datasets is None or asked.dataset in rule.datasets)
        and (rule.schedules is None or schedule in rule.schedules)
        and (rule.samples_seen is None or rule.samples_seen(asked.samples_seen))
        and (rule.seeds is None or asked.seed in rule.seeds)
    )


def matches_names(rule: Match, family: str, model: str) -> bool:
    """Whether `rule` may be about cells of this family and model."""
    return (rule.families is None or family in rule.families) and (
        rule.models is None or model in rule.models
    )


def _trial(trunk: Trunk, schedule: Schedule, samples_seen: int) -> Trial:
    """The trial that serves a cell: the trunk itself, a branch of it, or a cosine of its own."""
    if schedule.kind == "const":
        return trunk
    if schedule.kind == "cosine":
        return Cosine(
            family=trunk.family,
            model=trunk.model,
            data=trunk.data,
            recipe=trunk.recipe,
            seed=trunk.seed,
            samples_seen=samples_seen,
        )
    batch_size = trunk.recipe.batch_size
    decay = max(1, round((schedule.cooldown or DEFAULT_COOLDOWN) * samples_seen / batch_size))
    return Cooldown.off(
        trunk,
        branch_point=samples_seen - decay * batch_size,
        samples_seen=samples_seen,
        shape=schedule.shape or "linear",
    )


def _check_warmup(
    trial: Trial, length: int, warmup: Warmup, position: str, schedule: Schedule
) -> None:
    """Raise `ValueError` if the warm-up leaves nothing at the constant or falling rate."""
    constant_until = trial.branch_point if isinstance(trial, Cooldown) else length
    if trial.recipe.warmup_samples >= constant_until:
        raise ValueError(
            f"{position}.warmup: {warmup} is {trial.recipe.warmup_samples:,} samples, which "
            f"leaves nothing of {trial.family} {trial.model} {schedule.label} at "
            f"{format_count(length)} samples: it must end before {constant_until:,}"
        )


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
