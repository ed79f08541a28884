"""One series fitted: its frontier, law, refits, held-out score and predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.fit import Fit, FitStatus, fit
from fitting.frontier import Frontier, frontier, held_out_frontier
from fitting.resample import Refits, refit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats
    from fitting.laws import Law
    from fitting.series import Series


@dataclass(frozen=True)
class Score:
    """Misses of the law on the held-out frontier; bias is predicted minus measured."""

    rmse: float
    mae: float
    bias: float


@dataclass(frozen=True)
class Prediction:
    """The error that a law predicts at a compute, with its confidence interval."""

    compute_gflops: float
    error: float
    low: float
    """-inf to inf if the data do not determine the law."""
    high: float
    extrapolation: float
    """Compute relative to the largest that was fitted."""


@dataclass(frozen=True, eq=False)
class SeriesFit:
    """A series, its frontier and the law that was fitted to it."""

    series: Series
    frontier: Frontier
    held_out: Frontier
    """Points beyond `series.max_compute` that no cheaper cell beats; not fitted."""
    fit: Fit
    refits: Refits | None
    """None if too many resamples cannot be fitted; `notes` then says so."""
    level: float
    notes: tuple[str, ...]

    @property
    def is_determined(self) -> bool:
        """Whether the fit has one optimum, so that its predictions mean something."""
        return self.fit.status not in (FitStatus.AMBIGUOUS, FitStatus.NOT_CONVERGED)

    @property
    def largest_fitted(self) -> float:
        """Compute in GFLOPs of the most expensive cell that could be fitted."""
        return float(self.series.training[0].max())

    @property
    def largest_measured(self) -> float:
        """Compute in GFLOPs of the most expensive cell, held out or not."""
        return float(self.series.gflops.max())

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many rows were not fitted, by reason."""
        held_out = int(self.series.is_held_out.sum())
        counts = {
            "repeats another row": self.series.duplicates,
            f"held out (compute above {self.series.max_compute:.3g} GFLOPs)": held_out,
            **self.frontier.left_out,
        }
        return {reason: count for reason, count in counts.items() if count}

    @property
    def score(self) -> Score | None:
        """The held-out score, None without held-out points."""
        if not len(self.held_out):
            return None
        miss = self.fit.predict(self.held_out.gflops) - self.held_out.error
        return Score(
            rmse=float(np.sqrt(np.mean(miss**2))),
            mae=float(np.mean(np.abs(miss))),
            bias=float(np.mean(miss)),
        )

    def interval(self, gflops: Floats) -> tuple[Floats, Floats]:
        """`Fit.interval` at the level of the analysis, within what the metric allows."""
        low, high = self.fit.interval(gflops, self.level)
        if self.series.setting.is_fraction:
            high = np.where(np.isfinite(high), np.minimum(high, 1.0), high)
        return low, high

    def predict(self, targets: tuple[float, ...]) -> tuple[Prediction, ...]:
        """Predicted error at each target compute (GFLOPs)."""
        gflops = np.array(targets)
        columns = (gflops, self.fit.predict(gflops), *self.interval(gflops))
        ratios = gflops / self.largest_fitted
        rows = zip(*(column.tolist() for column in (*columns, ratios)), strict=True)
        return tuple(Prediction(*row) for row in rows)


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """What is done to every series alike."""

    law: Law
    frontier: str
    refits: int
    level: float
    seed: int

    def apply(self, series: Series) -> SeriesFit:
        """Check, fit and refit one series.

        Raises `FitError` if the series cannot be fitted.
        """
        series.check()
        training = series.training
        best = frontier(self.frontier, *training)
        needed = len(self.law.parameters) + 1
        if len(best) < needed:
            raise FitError(
                f"the {self.frontier} frontier of {len(training[0])} cells has {len(best)} "
                f"points; the {self.law.name} law needs at least {needed}"
            )
        fitted = fit(self.law, best.gflops, best.error)
        notes: list[str] = []
        try:
            refits = refit(
                self.law,
                self.frontier,
                training,
                scale=fitted.scale,
                refits=self.refits,
                seed=self.seed,
            )
        except FitError as error:
            refits = None
            notes.append(f"no bootstrap: {error}")
        return SeriesFit(
            series=series,
            frontier=best,
            held_out=held_out_frontier(series.gflops, series.error, series.max_compute),
            fit=fitted,
            refits=refits,
            level=self.level,
            notes=tuple(notes),
        )
