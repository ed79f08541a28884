"""Early stopping of sweeps, as a grid asks for it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scaling.errors import unknown
from scaling.evals import MAIN_METRICS, TASKS
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

    @model_validator(mode="after")
    def _task_has_metric(self) -> "SweepRule":
        if self.task not in TASKS:
            raise ValueError(unknown("task", self.task, TASKS.names()))
        known = TASKS.get(self.task).metrics
        if self.metric is not None and self.metric not in known:
            raise ValueError(unknown(f"metric of {self.task}", self.metric, known))
        return self

    @property
    def chosen_metric(self) -> str:
        """`metric`, or the first main metric of the task."""
        metrics = TASKS.get(self.task).metrics
        main = [metric for metric in metrics if metric in MAIN_METRICS]
        return self.metric or [*main, *metrics][0]


def sweeps_of(cells: Sequence[Cell], rule: SweepRule) -> tuple[Sweep, ...]:
    """The sweeps that `rule` can stop: cosine trials of one cell that differ in their recipe.

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
                    metric=rule.chosen_metric,
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
