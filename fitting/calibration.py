"""Calibration: intervals widened until, on other series, they held what came later.

An interval assumes that the law is right and the noise independent. A backtest shows by how much
it is too narrow when they are not. Source: split conformal prediction (Lei et al. 2018) with the
half-width as the scale; forecasts of one series are not exchangeable, so there is no guarantee.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.validate import half_widths
from fitting.validate_scores import RATIOS, ratio_bin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitting.errors import Floats
    from fitting.series import Setting
    from fitting.series_fit import SeriesFit
    from fitting.validate import Backtest, Forecast

FEWEST_FORECASTS = 30
"""Held-out forecasts below which a 0.95 quantile would be the outermost one or two."""


class LeaveOut(StrEnum):
    """What the calibrated series must not share with those that the factor is learned from."""

    TASK = "task"
    FAMILY = "family"
    DATASET = "dataset"

    def key(self, setting: Setting, family: str) -> str:
        """What series that are left out together share."""
        return family if self is LeaveOut.FAMILY else str(getattr(setting, self.value))


@dataclass(frozen=True)
class Calibration:
    """A factor by which prediction intervals are widened, and how much it rests on."""

    estimator: str
    left_out: LeaveOut
    value: str
    """The task, family or dataset that the factor was not learned from."""
    level: float
    n: int
    """Forecasts that the factor was learned from."""
    n_series: int
    factor: float
    """The `level` quantile of |miss| / half-width, at least 1; 1 if not calibrated."""

    @property
    def is_calibrated(self) -> bool:
        """Whether there were enough forecasts to learn from."""
        return self.n >= FEWEST_FORECASTS

    def __str__(self) -> str:
        """How the interval came about, in words."""
        if not self.is_calibrated:
            return f"uncalibrated: {self.n} held-out predictions, {FEWEST_FORECASTS} are needed"
        return (
            f"widened {self.factor:.2f} times, from {self.n} held-out predictions of "
            f"{self.n_series} series without {self.left_out} {self.value}"
        )

    def interval(self, fit: SeriesFit, gflops: Floats) -> tuple[Floats, Floats]:
        """Low and high end (t,) of the widened interval of one new run."""
        centre = fit.fit.predict(gflops)
        half = self.factor * half_widths(fit, gflops)[1]
        high = centre + half
        if fit.series.setting.is_fraction:
            high = np.where(np.isfinite(high), np.minimum(high, 1.0), high)
        return np.maximum(centre - half, 0.0), high


def calibrate(
    backtest: Backtest,
    estimator: str,
    setting: Setting,
    family: str,
    left_out: LeaveOut = LeaveOut.TASK,
) -> Calibration:
    """Learn the factor for one series from the forecasts of others.

    Other series are those of another task (or family, or dataset).
    Raises `FitError` if the backtest does not have the estimator.
    """
    if estimator not in backtest.estimators:
        known = ", ".join(backtest.estimators)
        raise FitError(f"no backtest of estimator {estimator!r} (there are: {known})")
    value = left_out.key(setting, family)
    others = [
        one
        for one in backtest.of(estimator)
        if left_out.key(one.setting, one.family) != value and np.isfinite(one.prediction)
    ]
    return Calibration(
        estimator=estimator,
        left_out=left_out,
        value=value,
        level=backtest.level,
        n=len(others),
        n_series=len({(one.setting, one.family) for one in others}),
        factor=_factor(others, backtest.level),
    )


@dataclass(frozen=True)
class CalibratedCoverage:
    """What widening did in one bin of extrapolation: each series by a factor from others."""

    estimator: str
    left_out: LeaveOut
    above: float
    up_to: float
    n: int
    """Forecasts of calibrated series."""
    before: float
    """Share of points inside the interval of one new run."""
    after: float
    """The same after widening."""
    half_width: float
    """Median after widening."""


def calibrated_coverage(
    backtest: Backtest, estimator: str, left_out: LeaveOut = LeaveOut.TASK
) -> tuple[CalibratedCoverage, ...]:
    """How often intervals hold, by ratio, when each is widened by a factor that others gave."""
    known = [one for one in backtest.of(estimator) if np.isfinite(one.prediction)]
    factors: dict[str, Calibration] = {}
    bins: dict[tuple[float, float], list[tuple[Forecast, float]]] = {}
    for one in known:
        value = left_out.key(one.setting, one.family)
        if value not in factors:
            factors[value] = calibrate(backtest, estimator, one.setting, one.family, left_out)
        if factors[value].is_calibrated:
            group = bins.setdefault(ratio_bin(one.ratio), [])
            group.append((one, factors[value].factor))
    return tuple(
        _coverage(estimator, left_out, edges, bins[edges])
        for edges in pairwise(RATIOS)
        if edges in bins
    )


def _coverage(
    estimator: str,
    left_out: LeaveOut,
    edges: tuple[float, float],
    group: Sequence[tuple[Forecast, float]],
) -> CalibratedCoverage:
    miss = np.abs([one.miss for one, _ in group])
    half = np.array([one.prediction for one, _ in group])
    widened = half * np.array([factor for _, factor in group])
    return CalibratedCoverage(
        estimator=estimator,
        left_out=left_out,
        above=edges[0],
        up_to=edges[1],
        n=len(group),
        before=float(np.mean(miss <= half)),
        after=float(np.mean(miss <= widened)),
        half_width=float(np.median(widened)),
    )


def _factor(forecasts: Sequence[Forecast], level: float) -> float:
    if len(forecasts) < FEWEST_FORECASTS:
        return 1.0
    ratios = [abs(one.miss) / one.prediction for one in forecasts if one.prediction > 0]
    return max(1.0, float(np.quantile(ratios, level))) if ratios else 1.0
