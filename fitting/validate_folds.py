"""Folds: where a backtest cuts a series, what may be fitted, and what is to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.frontier import frontier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitting.errors import Floats
    from fitting.frontier import Frontier
    from fitting.series import Series

REACH = 128.0
"""Rolling origins reach at least this fraction of a series' compute: 1e10 of 1e12 GFLOPs."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One series cut at one compute."""

    origin: float
    """GFLOPs; cells at or below it are given to the estimators."""
    training: Series
    """Those cells, see `Series.up_to`."""
    targets: Floats
    """Compute (t,) in GFLOPs of the full frontier's points above the origin."""
    measured: Floats
    """Their errors (t,); not shown to the estimators."""

    @property
    def reached(self) -> float:
        """The largest compute in GFLOPs that was trained on."""
        return float(self.training.gflops.max())


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Which folds a series is cut into; they depend on its computes, never on its errors."""

    origins: tuple[float, ...] | None = None
    """GFLOPs; None rolls the origin through the powers of 2 GFLOPs.

    These are the edges of the bins that the `bins` frontier is taken in, so that no bin of the
    full data straddles an origin.
    """
    min_train: float | None = None
    """GFLOPs that the training cells must reach; None is 1/128 of the largest compute for rolling
    origins, nothing for given ones."""
    truth: str | None = None
    """Frontier method whose points of the full data are predicted.

    None is `bins` for rolling origins, one point for each factor of 2, so that computes at which
    many cells were trained count no more than others; and `pareto` for given ones, all points that
    `scaling fit` holds out at that compute.
    """

    @property
    def method(self) -> str:
        """The frontier method of `truth`."""
        return self.truth or ("pareto" if self.origins else "bins")

    def folds(self, series: Series) -> list[Fold]:
        """The folds of one series, by ascending origin.

        Raises `FitError` if its numbers are unusable or nothing can be held out.
        """
        _check(series)
        least, largest = self._least(series), float(series.gflops.max())
        best = frontier(self.method, series.gflops, series.error)
        found: list[Fold] = []
        for origin in self.origins or _powers_of_two(least, largest):
            fold = _cut(series, best, origin)
            if fold is None or fold.reached < least:
                continue
            if not found or len(found[-1].training.gflops) < len(fold.training.gflops):
                found.append(fold)
        if not found:
            raise FitError(self._nothing_held_out(series, least))
        return found

    def _least(self, series: Series) -> float:
        if self.min_train is not None:
            return self.min_train
        return 0.0 if self.origins else float(series.gflops.max()) / REACH

    def _nothing_held_out(self, series: Series, least: float) -> str:
        span = f"{len(series.gflops)} cells from {series.gflops.min():.3g} to "
        span += f"{series.gflops.max():.3g} GFLOPs"
        if self.origins is None:
            return f"{span}: none is above an origin whose training cells reach {least:.3g} GFLOPs"
        given = ", ".join(f"{origin:.3g}" for origin in self.origins)
        return f"{span}: no threshold of {given} GFLOPs has cells on both sides"


def _powers_of_two(least: float, largest: float) -> Sequence[float]:
    first, last = (int(np.ceil(np.log2(edge))) for edge in (least, largest))
    return [2.0**power for power in range(first, last + 1)]


def _cut(series: Series, best: Frontier, origin: float) -> Fold | None:
    """The fold at `origin`; None if nothing is left on one side."""
    training, beyond = series.up_to(origin), best.gflops > origin
    if not len(training.gflops) or not beyond.any():
        return None
    return Fold(origin, training, best.gflops[beyond], best.error[beyond])


def _check(series: Series) -> None:
    wrong = ~np.isfinite(series.error) | ~np.isfinite(series.gflops) | (series.gflops <= 0)
    if wrong.any():
        raise FitError(
            f"{int(wrong.sum())} of {len(wrong)} cells have no finite error or no positive, "
            "finite compute"
        )
