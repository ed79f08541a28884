"""What a format gives: measurements in one form, whichever file they were in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Any

SAME_COST = 0.01
"""Relative difference of GFLOPs per sample of one trial; tables round samples and compute."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One number of one training run of somebody else's."""

    place: str
    """Where in the file it stands, such as 'line 7'."""
    family: str
    model: str
    dataset: str
    schedule: str
    samples_seen: int
    task: str
    metric: str
    value: float
    source: str
    """What the file says about where the number is from."""
    params: int | None
    gflops_per_sample: float | None
    """Forward, None if unknown: the number stays out of fits over compute then."""
    seed: int = 0
    trial: str | None = None
    """The file's name of the training run, which then may be measured at several samples seen."""

    def identity(self) -> dict[str, Any]:
        """What tells its training run from others of the same study."""
        always = {
            "family": self.family,
            "model": self.model,
            "dataset": self.dataset,
            "schedule": self.schedule,
        }
        length = {} if self.trial else {"samples_seen": self.samples_seen}
        return always | length | self._if_given()

    def _if_given(self) -> dict[str, Any]:
        """Left out at their defaults, so that files without them keep the ids of their trials."""
        given = {"seed": self.seed, "trial": self.trial}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A file or folder, read and found valid."""

    path: Path
    """What was asked for."""
    measurements_file: Path
    """The file that `Measured.place` is in."""
    study: str
    """The name of the study unless another is given."""
    measurements: Sequence[Measured]
    compute: str
    """Where GFLOPs per sample are from, for people."""
    notes: tuple[str, ...] = field(default=())
    """What else people should know of it."""


def once(measurements: Iterable[Measured]) -> tuple[list[Measured], list[str]]:
    """The measurements without those that repeat others, and what contradicts what.

    All measurements of one trial are given the GFLOPs per sample and parameters of its first.
    """
    kept: dict[tuple[Any, ...], Measured] = {}
    firsts: dict[tuple[Any, ...], Measured] = {}
    problems = []
    for one in measurements:
        trial = tuple(one.identity().items())
        first = firsts.setdefault(trial, one)
        problems += _cost_problems(first, one)
        number = kept.setdefault((trial, one.samples_seen, one.task, one.metric), one)
        if number.value != one.value:
            problems.append(
                f"{one.place}, {one.metric}: {one.value!r}, but {number.place} says "
                f"{number.value!r} about the same thing; where these are different training runs, "
                "map trial= or seed= to the column that tells them apart"
            )
    return list(kept.values()), problems


def _cost_problems(first: Measured, one: Measured) -> list[str]:
    pairs = {
        "params": (first.params, one.params),
        "GFLOPs per sample": (first.gflops_per_sample, one.gflops_per_sample),
    }
    return [
        f"{one.place}, {name}: {there!r}, but {first.place} says {here!r} of the same trial"
        for name, (here, there) in pairs.items()
        if here != there
        and (here is None or there is None or not isclose(here, there, rel_tol=SAME_COST))
    ]
