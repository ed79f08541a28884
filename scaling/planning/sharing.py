"""Which cells share a trunk, and which rule of the grid keeps others from it."""

from collections import defaultdict
from dataclasses import dataclass
from operator import attrgetter

from scaling.plan import Cell, Plan
from scaling.trial import Cooldown, Cosine, Recipe
from scaling.units import format_count

_FIELDS = {
    "batch_size": "batch size",
    "warmup_samples": "warm-up",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "caption_loss_weight": "caption loss weight",
}
"""What rules change with length most, in the order in which it is said."""
_SHOWN = 3
"""Values named of each."""


@dataclass(frozen=True)
class Apart:
    """Rows of a grid (a family, model, dataset and seed) whose lengths have several trunks."""

    reason: str
    """What changes with length, and by which rules: 'batch size 64, 128 (recipes.0)'."""
    rows: int
    cells: int
    trunks: int


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How the cells of a plan stand to trunks."""

    sharing: int
    """Cells whose trunk serves other lengths too."""
    alone: int
    """Cells of a constant rate that are the only ones of their trunk."""
    cosine: int
    """Cells whose learning rate depends on their length from the first step."""
    apart: list[Apart]


def rows(plan: Plan) -> Rows:
    """Sort the cells of `plan` by whether they share their trunk."""
    lengths: defaultdict[str, set[int]] = defaultdict(set)
    grouped: defaultdict[tuple[str, str, str, int], list[Cell]] = defaultdict(list)
    constant = [cell for cell in plan.cells if not isinstance(cell.trial, Cosine)]
    for cell in constant:
        lengths[_trunk(cell)].add(cell.samples_seen)
        grouped[cell.family, cell.model, cell.dataset, cell.seed].append(cell)
    sharing = sum(len(lengths[_trunk(cell)]) > 1 for cell in constant)
    return Rows(
        sharing=sharing,
        alone=len(constant) - sharing,
        cosine=len(plan.cells) - len(constant),
        apart=_apart(list(grouped.values())),
    )


def _trunk(cell: Cell) -> str:
    """The id of the trial that a cell is, or branches off."""
    return cell.trial.trunk.id if isinstance(cell.trial, Cooldown) else cell.trial.id


def _apart(grouped: list[list[Cell]]) -> list[Apart]:
    """The rows in which a recipe changes with length, by what changes."""
    found: defaultdict[str, list[list[Cell]]] = defaultdict(list)
    for cells in grouped:
        recipes: defaultdict[int, dict[int, Recipe]] = defaultdict(dict)
        for cell in cells:
            recipes[cell.samples_seen][id(cell.trial.recipe)] = cell.trial.recipe
        if len({frozenset(at) for at in recipes.values()}) > 1 and (
            reason := _reason(cells, [list(at.values()) for at in recipes.values()])
        ):
            found[reason].append(cells)
    return [
        Apart(
            reason,
            rows=len(its),
            cells=sum(map(len, its)),
            trunks=sum(len({_trunk(cell) for cell in cells}) for cells in its),
        )
        for reason, its in found.items()
    ]


def _reason(cells: list[Cell], by_length: list[list[Recipe]]) -> str:
    """What is not the same at all lengths; empty if everything is."""
    changes = []
    names = [*_FIELDS, *(name for name in Recipe.__dataclass_fields__ if name not in _FIELDS)]
    for name in names:
        read = attrgetter(name)
        values = [{str(read(recipe)): read(recipe) for recipe in recipes} for recipes in by_length]
        if len({frozenset(at) for at in values}) > 1:
            distinct = list({text: value for at in values for text, value in at.items()}.values())
            shown = [_written(name, value) for value in distinct[:_SHOWN]]
            more = ", ..." if len(distinct) > _SHOWN else ""
            changes.append(f"{_FIELDS.get(name, name)} {', '.join(shown)}{more}")
    rules = ", ".join(dict.fromkeys(cell.rule for cell in cells))
    return f"{'; '.join(changes)} ({rules})" if changes else ""


def _written(name: str, value: object) -> str:
    if name == "warmup_samples" and isinstance(value, int):
        return format_count(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
