"""One series fitted: its frontier, law, refits, held-out score and predictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.fit import Fit, fit, student_t
from fitting.laws import LAWS
from fitting.likelihood import profile_interval
from fitting.objective import Objective
from fitting.prediction import Prediction, Score
from fitting.selection import Candidate, score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.calibration import Calibration
    from fitting.errors import Floats
    from fitting.frontier import Frontier
    from fitting.resample import Refits
    from fitting.series import Series

INTERVALS = {
    "t": "t with the larger of model-based and HC3 variance",
    "profile": "profile likelihood with the quantile of F(1, n - p)",
    "bootstrap": "percentiles of the refits",
}
"""How confidence intervals of a law are made, in words."""
DRAWN_OUT = "drawn out to hold the frontier of the surface that moved the cells as well"
"""Where a frontier's `model` is not None."""
FEWEST_POINTS = 5
"""Points of a frontier below which nothing is left to judge a law by."""
FULL_LAW = "saturating"
"""The law of the reference study, reported beside any other."""


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
    interval_method: str = "t"
    """A key of `INTERVALS`."""
    resampled: str = "cells"
    """What the refits drew again, one of `fitting.resample.KINDS`."""
    candidates: tuple[Candidate, ...] = ()
    """The laws that were chosen from, best first; empty if the law was given."""
    calibration: Calibration | None = None
    """What widens intervals of a new run in `predict`; None leaves them as the model has them."""

    @cached_property
    def full_law(self) -> Fit | None:
        """The reference study's law by its least squares; None if it cannot be fitted."""
        if self.fit.law is LAWS[FULL_LAW] and self.fit.objective == Objective():
            return self.fit
        try:
            return fit(LAWS[FULL_LAW], self.frontier.gflops, self.frontier.error)
        except FitError:
            return None

    @property
    def is_determined(self) -> bool:
        """Whether the fit has one optimum, so that its predictions mean something."""
        return self.fit.is_determined

    @property
    def claim(self) -> float | None:
        """The level that intervals claim, None where `doubt` withdraws it."""
        return None if self.doubt else self.level

    @property
    def doubt(self) -> str:
        """Why intervals claim no level; empty if they do."""
        found, tests = self.fit, self.fit.diagnostics
        if not found.is_determined:
            return f"the fit is {found.status.value.replace('_', ' ')}"
        if found.at_edge:
            names = " and ".join(found.at_edge)
            return f"{names} ended at the end of the search: the points do not determine the law"
        if tests.shows_misfit:
            return f"the law does not follow the points: {tests}"
        if self.interval_method == "bootstrap" and self.refits is None:
            return "there are no refits to make the interval of"
        return "" if tests.was_tested else str(tests)

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
        return score(self.fit, self.held_out)

    @property
    def interval_text(self) -> str:
        """How intervals are made, in words."""
        how = INTERVALS[self.interval_method]
        return how if self.frontier.model is None else f"{how}, {DRAWN_OUT}"

    def interval(self, gflops: Floats) -> tuple[Floats, Floats]:
        """Confidence interval of the law at the level of the analysis, low and high end (t,).

        By `interval_method`, within what the metric allows. A law that predicts more than that, as
        a power law does at small compute, is where its interval ends. Where a model moved the
        cells, the interval is drawn out to hold, as wide, around the model's own frontier too: a
        law that follows many points closely is no better than its shape, and theirs differ.
        """
        if self.interval_method == "profile":
            low, high = profile_interval(self.fit, gflops, self.level)
        elif self.interval_method == "bootstrap" and self.refits is not None:
            tails = (1 - self.level) / 2, (1 + self.level) / 2
            low, high = np.quantile(self.refits.predict(gflops), tails, axis=0)
            predicted = self.fit.predict(gflops)
            low, high = np.minimum(low, predicted), np.maximum(high, predicted)
        else:
            low, high = self.fit.interval(gflops, self.level)
        if self.frontier.model is not None:
            apart = self.frontier.model(gflops) - self.fit.predict(gflops)
            low = np.maximum(low + np.minimum(apart, 0.0), 0.0)
            high = high + np.maximum(apart, 0.0)
        return low, self._allowed(high, self.fit.predict(gflops))

    def new_run_interval(self, gflops: Floats) -> tuple[Floats, Floats]:
        """Prediction interval of one new point of the frontier, not calibrated, (t,) and (t,)."""
        if self.interval_method == "t" and self.frontier.model is None:
            low, high = self.fit.new_run_interval(gflops, self.level)
            return low, self._allowed(high, self.fit.predict(gflops))
        low, high = self.interval(gflops)
        predicted = self.fit.predict(gflops)
        quantile = student_t(self.level, self.fit.degrees_of_freedom)
        scatter = quantile * self.fit.scatter(gflops)
        below, above = (np.hypot(end - predicted, scatter) for end in (low, high))
        return np.maximum(predicted - below, 0.0), self._allowed(predicted + above, predicted)

    def _allowed(self, high: Floats, predicted: Floats) -> Floats:
        if not self.series.setting.is_fraction:
            return high
        return np.where(np.isfinite(high), np.minimum(high, np.maximum(predicted, 1.0)), high)

    def predict(self, targets: tuple[float, ...]) -> tuple[Prediction, ...]:
        """Predicted error at each target compute (GFLOPs)."""
        gflops = np.array(targets)
        columns = (
            gflops,
            self.fit.predict(gflops),
            *self.interval(gflops),
            gflops / self.largest_fitted,
            *(
                self.new_run_interval(gflops)
                if self.calibration is None
                else self.calibration.interval(self, gflops)
            ),
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return tuple(Prediction(*row) for row in rows)
