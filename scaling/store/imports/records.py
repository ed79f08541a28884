"""What a format gives: measurements in one form, whichever file they were in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Any

SAME_COST = 0.01
"""Relative difference of GFLOPs per sample of one trial; tables round samples and compute."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What only an export of a store knows of a training run and of a measurement of it."""

    study: str
    is_grid: bool
    """Whether the study was a grid, of which the best member of a sweep counts."""
    held_out_above_gflops: float | None
    trial_id: str
    """Of the imported trial: that of the export if it was one there, else one made of it."""
    identity: Mapping[str, Any]
    gflops_per_sample_lean: float | None
    gflops_per_sample_full: float | None
    batch_size: int | None
    learning_rate: float | None
    epochs: float | None
    evaluation_set: str | None
    skipped_images: int | None

    def trial(self) -> dict[str, Any]:
        """The columns of the trial that are known from here alone."""
        return {
            "id": self.trial_id,
            "identity": self.identity,
            "gflops_per_sample_lean": self.gflops_per_sample_lean,
            "gflops_per_sample_full": self.gflops_per_sample_full,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
        }

    def measurement(self) -> dict[str, Any]:
        """The columns of the measurement that are known from here alone."""
        return {
            "epochs": self.epochs,
            "evaluation_set": self.evaluation_set,
            "skipped_images": self.skipped_images,
        }


Setting = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run of somebody else's."""

    family: str
    model: str
    dataset: str
    schedule: str
    params: int | None
    gflops_per_sample: float | None
    """Forward, None if unknown: its numbers stay out of fits over compute then."""
    seed: int = 0
    trial: str | None = None
    """The file's name of the training run, which then may be measured at several samples seen."""
    settings: tuple[tuple[str, Setting], ...] = ()
    """Hyper-parameters by name: runs that differ in one are different trials."""
    batch_size: int | None = None
    """Global."""
    learning_rate: float | None = None

    def key(self) -> tuple[Any, ...]:
        """What tells it from others of the same study, to compare and to hash."""
        return (
            self.family,
            self.model,
            self.dataset,
            self.schedule,
            self.seed,
            self.trial,
            self.settings,
        )

    def identity(self) -> dict[str, Any]:
        """The same by name."""
        always = {
            "family": self.family,
            "model": self.model,
            "dataset": self.dataset,
            "schedule": self.schedule,
        }
        # Left out at their defaults, so that files without them keep the ids of their trials.
        given = {"seed": self.seed, "trial": self.trial, "settings": dict(self.settings)}
        return always | {name: value for name, value in given.items() if value}


@dataclass(frozen=True, kw_only=True)
class Measured(Run):
    """One number, and the training run whose it is."""

    place: str
    """Where in the file it stands, such as 'line 7'."""
    samples_seen: int
    task: str
    metric: str
    value: float
    source: str
    """What the file says about where the number is from."""
    in_fits: bool = True
    """False for a checkpoint on the way to another end of its schedule, which would be compared
    with runs that were planned to end there."""
    exported: Exported | None = None
    """Of an export alone."""

    def key(self) -> tuple[Any, ...]:
        """See `Run.key`; a number without a run's name is a run of its own length."""
        return (*super().key(), None if self.trial else self.samples_seen)

    def identity(self) -> dict[str, Any]:
        """See `Run.identity`."""
        length = {} if self.trial else {"samples_seen": self.samples_seen}
        return super().identity() | length


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The training loss of a run."""

    run: Run
    points: Mapping[int, float]
    """Loss by samples seen."""


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
    curves: tuple[Curve, ...] = ()


def once(measurements: Iterable[Measured]) -> tuple[list[Measured], list[str]]:
    """The measurements without those that repeat others, and what contradicts what.

    All measurements of one trial are given the GFLOPs per sample and parameters of its first.
    """
    kept: dict[tuple[Any, ...], Measured] = {}
    firsts: dict[tuple[Any, ...], Measured] = {}
    problems = []
    for one in measurements:
        trial = one.key()
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
