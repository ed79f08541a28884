"""How to divide a compute between model size and samples seen: three methods side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fitting.allocate_methods import Allocation, Allocator, Method, Optimum, allocator
from fitting.analysis import Failure
from fitting.errors import FitError
from fitting.report import number
from fitting.surfaces import surface_estimator
from fitting.surfaces.series import read_cells, training_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from fitting.series import Setting

__all__ = ["Allocation", "Allocator", "Method", "Optimum", "SeriesAllocation", "allocate"]


@dataclass(frozen=True, eq=False)
class SeriesAllocation:
    """How to divide computes in one setting and family."""

    setting: Setting
    family: str
    allocator: Allocator
    allocations: tuple[Allocation, ...]
    """One for each compute that was asked for."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not finite is None."""
        allocator = self.allocator
        surface = allocator.surface
        return {
            **self.setting._asdict(),
            "family": self.family,
            "n_cells": len(allocator.cells),
            "lines": {
                method.value: {
                    "factor": line.factor,
                    "exponent": line.exponent,
                    "n_points": len(line.samples_seen),
                }
                for method, line in allocator.lines.items()
            },
            "law": None if surface is None else surface.law.describe(surface.parameters),
            "interval": {"level": allocator.level, "of": "samples seen", "method": "bootstrap"},
            "failures": {method.value: why for method, why in allocator.failures.items()},
            "allocations": [
                {
                    "compute_gflops": one.compute_gflops,
                    "extrapolation": one.extrapolation,
                    "disagreement": one.disagreement,
                    "optima": [_entry(optimum) for optimum in one.optima],
                }
                for one in self.allocations
            ],
        }


def allocate(
    points: pd.DataFrame,
    computes: Sequence[float],
    *,
    max_compute: Mapping[str, float] | float = np.inf,
    refits: int = 1000,
    seed: int = 0,
    surface: str | None = None,
) -> tuple[tuple[SeriesAllocation, ...], tuple[Failure, ...]]:
    """Allocate each compute (GFLOPs) in every series of `points`, a table as `analyse` takes it.

    Cells above `max_compute`, or that of their study, are held out. `surface` names the law of
    size and samples, by default chinchilla for losses and saturating for fractions.
    Also returns the series that no method can be fitted to. Raises `FitError` if that is all of
    them.
    """

    def max_compute_of(study: str) -> float:
        return max_compute if isinstance(max_compute, float) else max_compute.get(study, np.inf)

    # A wrong name concerns no series: raise it before any is fitted.
    surface_estimator(is_fraction=True, law=surface)
    found, failures = [], []
    for series, rows in read_cells(points, max_compute_of):
        estimator = surface_estimator(is_fraction=series.setting.is_fraction, law=surface)
        try:
            fitted = allocator(training_cells(series, rows), estimator, refits=refits, seed=seed)
        except FitError as error:
            failures.append(Failure(series.setting, series.family, str(error)))
            continue
        allocations = tuple(fitted.at(compute) for compute in computes)
        found.append(SeriesAllocation(series.setting, series.family, fitted, allocations))
    if not found:
        raise FitError("\n  ".join(["no series can be allocated:", *map(str, failures)]))
    return tuple(found), tuple(failures)


def _entry(optimum: Optimum) -> dict[str, Any]:
    entry = asdict(optimum) | {"method": optimum.method.value, "notes": list(optimum.notes)}
    return {
        key: number(value) if isinstance(value, float) else value for key, value in entry.items()
    }
