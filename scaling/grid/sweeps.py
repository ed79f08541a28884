"""Early stopping of sweeps, as a grid asks for it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from scaling.grid.machine import Strict
from scaling.plan import Cell, Sweep
from scaling.trial import Cosine


class SweepRule(Strict):
    """How members of a sweep are stopped early."""

    stop: Literal["halving"]
    task: str
    """What members are compared by at rungs."""
    metric: str | None = None
    """The task's main metric, unless given."""
    reduction: Annotated[int, Field(ge=2)] = 3
    """One of so many goes on at each rung."""


def sweeps_of(cells: Sequence[Cell], rule: SweepRule, metric: str) -> tuple[Sweep, ...]:
    """The sweeps that `rule` can stop: cosine trials of one cell that differ in their recipe.

    They are compared by `metric` of the rule's task.

    With n members there are as many rungs as n can be divided by the reduction, the last at
    1/reduction of the length, each other at 1/reduction of the next. Members whose warm-up or
    batch leaves no room for the first rung have no early stopping, nor have trunks, which serve
    several cells.
    """
    members: defaultdict[tuple[object, ...], dict[str, Cosine]] = defaultdict(dict)
    for cell in cells:
        if isinstance(cell.trial, Cosine):
            where = (cell.family, cell.model, cell.dataset, cell.schedule, cell.seed)
            members[*where, cell.samples_seen][cell.trial.id] = cell.trial
    found: list[Sweep] = []
    known: set[str] = set()
    for trials in members.values():
        levels = 0
        while rule.reduction ** (levels + 1) <= len(trials):
            levels += 1
        rungs = {its: _rungs(trial, levels, rule.reduction) for its, trial in trials.items()}
        if levels and known.isdisjoint(trials) and all(map(_is_ascending, rungs.values())):
            known.update(trials)
            found.append(
                Sweep(
                    rungs=rungs,
                    task=rule.task,
                    metric=metric,
                    reduction=rule.reduction,
                )
            )
    return tuple(found)


def _rungs(trial: Cosine, levels: int, reduction: int) -> tuple[int, ...]:
    """In whole batches; 0 in place of one that is within the warm-up."""
    batch = trial.recipe.batch_size
    rungs = [
        trial.samples_seen // reduction ** (levels - n) // batch * batch for n in range(levels)
    ]
    return tuple(n if n >= trial.recipe.warmup_samples else 0 for n in rungs)


def _is_ascending(rungs: tuple[int, ...]) -> bool:
    return all(a < b for a, b in zip((0, *rungs), rungs, strict=False))
