"""Cells in two dimensions: error by forward GFLOPs per sample and samples seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fitting.columns import check_columns
from fitting.errors import FitError

if TYPE_CHECKING:
    import pandas as pd

    from fitting.errors import Floats, Integers, Masks
    from fitting.frontier import Cells as SeriesCells

SAME_SIZE = 1e-9
"""Relative difference of sizes that are one: compute / samples seen rounds."""
FLATTEST = 0.01
"""Relative fall of the error below which nothing has been learned yet."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Measured cells of one series in a fixed order, whatever the order in which they came.

    Model size is in forward GFLOPs per sample, so that total compute is size x samples seen. For
    language models that is 6N / 1e9 GFLOPs per token, up to a factor of the compute axis.
    """

    gflops_per_sample: Floats
    """Model size (m,)."""
    samples_seen: Floats
    """(m,)."""
    error: Floats
    """(m,), a fraction or a loss."""

    @classmethod
    def of(cls, gflops_per_sample: Floats, samples_seen: Floats, error: Floats) -> Cells:
        """Cells by ascending compute. Raises `FitError` at what is negative or not finite."""
        cells = cls.in_order(gflops_per_sample, samples_seen, error)
        return cells.where(np.lexsort((cells.error, cells.samples_seen, cells.compute_gflops)))

    @classmethod
    def in_order(cls, gflops_per_sample: Floats, samples_seen: Floats, error: Floats) -> Cells:
        """Cells as they stand. Raises `FitError` as `of` does."""
        size, samples, measured = (
            np.asarray(column, dtype=np.float64)
            for column in (gflops_per_sample, samples_seen, error)
        )
        wrong = {
            "positive, finite GFLOPs per sample": ~(np.isfinite(size) & (size > 0)),
            "positive, finite samples seen": ~(np.isfinite(samples) & (samples > 0)),
            "finite error of 0 or more": ~(np.isfinite(measured) & (measured >= 0)),
        }
        problems = [
            f"{int(np.sum(rows))} of {len(rows)} cells have no {name}"
            for name, rows in wrong.items()
            if rows.any()
        ]
        if problems:
            raise FitError("; ".join(problems))
        return cls(_without_rounding(size), samples, measured)

    @classmethod
    def of_series(cls, cells: SeriesCells) -> Cells:
        """The cells of a series as they stand; raises `FitError` without samples seen."""
        size = cells.gflops_per_sample
        assert cells.samples_seen is not None
        return cls.in_order(size, cells.samples_seen, cells.error)

    @classmethod
    def from_points(cls, points: pd.DataFrame) -> Cells:
        """Cells of one series from its `compute_gflops`, `samples_seen` and `error`.

        Raises `FitError` if the rows are of several series, or a column is missing.
        """
        check_columns(points, ("compute_gflops", "samples_seen", "error"))
        several = [
            name
            for name in ("study", "dataset", "schedule", "task", "metric", "family")
            if name in points and points[name].nunique() > 1
        ]
        if several:
            raise FitError(f"these cells differ in {', '.join(several)}: give those of one series")
        rows = points.drop_duplicates()
        samples = rows["samples_seen"].to_numpy(dtype=np.float64)
        compute = rows["compute_gflops"].to_numpy(dtype=np.float64)
        return cls.of(compute / samples, samples, rows["error"].to_numpy(dtype=np.float64))

    def __len__(self) -> int:
        """Number of cells."""
        return len(self.error)

    @cached_property
    def compute_gflops(self) -> Floats:
        """Total forward GFLOPs of each cell (m,)."""
        return self.gflops_per_sample * self.samples_seen

    def where(self, kept: Masks | Integers) -> Cells:
        """Some of the cells, or all in another order."""
        return Cells(self.gflops_per_sample[kept], self.samples_seen[kept], self.error[kept])

    def up_to(self, max_compute: float) -> Cells:
        """The cells of at most `max_compute` GFLOPs; those above are held out."""
        return self.where(self.compute_gflops <= max_compute)

    def check(self, parameters: int) -> None:
        """Raise `FitError` if a law of so many parameters cannot be told from these cells."""
        problems = []
        if len(self) <= parameters:
            problems.append(f"{len(self)} cells cannot determine {parameters} parameters")
        sizes, lengths = len(np.unique(self.gflops_per_sample)), len(np.unique(self.samples_seen))
        if sizes < 3:
            problems.append(f"{sizes} different model sizes; at least 3 are needed")
        if lengths < 3:
            problems.append(f"{lengths} different counts of samples seen; at least 3 are needed")
        if len(self) and self.error.min() >= (1 - FLATTEST) * self.error.max():
            problems.append(
                f"all errors lie between {self.error.min():.4g} and {self.error.max():.4g}, "
                "within 1 % of one another: nothing has been learned yet"
            )
        if problems:
            raise FitError("; ".join(problems))


def _without_rounding(size: Floats) -> Floats:
    """Sizes (m,) of which those that differ by rounding alone are the smallest of them."""
    every, place = np.unique(size, return_inverse=True)
    is_other = np.diff(every, prepend=0.0) > SAME_SIZE * every
    first: Floats = every[is_other][np.cumsum(is_other) - 1]
    return first[place.reshape(-1)]
