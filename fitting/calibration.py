"""Calibration: intervals widened until, on other series, they held what came later.

An interval assumes that the law is right and the noise independent. A backtest shows by how much
it is too narrow where they are not: some misfits, that of the distribution-shift average among the
published ones, show in no residual until more compute is spent. Source: split conformal prediction
(Lei et al. 2018) with the half-width as the scale, within groups (Vovk 2012). Predictions of one
series are not exchangeable, so there is no guarantee; `calibrated_coverage` measures what holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.validate_scores import RATIOS, ratio_bin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitting.errors import Floats
    from fitting.series import Setting
    from fitting.series_fit import SeriesFit
    from fitting.validate import Backtest, Case

FEWEST_CASES = 30
"""Held-out predictions below which a 0.95 quantile would be the outermost one or two."""


class LeaveOut(StrEnum):
    """What the calibrated series must not share with those that the factor is learned from."""

    SERIES = "series"
    """Only itself is left out: families, datasets and schedules can teach one another.

    In every study that has it: studies may share trials, and no series may teach itself.
    """
    TASK = "task"
    FAMILY = "family"
    DATASET = "dataset"

    def key(self, setting: Setting, family: str) -> str:
        """What series that are left out together share."""
        if self is LeaveOut.SERIES:
            _, *shared = setting
            return " / ".join((*shared, family))
        return family if self is LeaveOut.FAMILY else str(getattr(setting, self.value))


@dataclass(frozen=True)
class Calibration:
    """A factor by which prediction intervals are widened, and how much it rests on."""

    estimator: str
    left_out: LeaveOut
    value: str
    """The series, task, family or dataset that the factor was not learned from."""
    task: str | None
    """The task that all predictions learned from are of; None if they are of several."""
    level: float
    n: int
    """Held-out predictions that the factor was learned from."""
    n_series: int
    factor: float
    """The `level` quantile of |miss| / half-width, at least 1; 1 if not calibrated."""
    reason: str = ""
    """Why nothing could be learned, beside too few cells."""

    @property
    def is_calibrated(self) -> bool:
        """Whether there were enough predictions to learn from."""
        return self.n >= FEWEST_CASES

    def __str__(self) -> str:
        """How the interval came about, in words."""
        if not self.is_calibrated:
            why = f" ({self.reason})" if self.reason else ""
            return f"uncalibrated: {self.n} held-out predictions, {FEWEST_CASES} are needed{why}"
        where = "" if self.task is None else f" on {self.task}"
        return (
            f"widened {self.factor:.2f} times, from {self.n} held-out predictions of "
            f"{self.n_series} series{where}, without {self.left_out} {self.value}"
        )

    def interval(self, fit: SeriesFit, gflops: Floats) -> tuple[Floats, Floats]:
        """Low and high end (t,) of the widened interval of one new run."""
        centre = fit.fit.predict(gflops)
        low, high = fit.new_run_interval(gflops)
        low, high = centre - self.factor * (centre - low), centre + self.factor * (high - centre)
        if fit.series.setting.is_fraction:
            high = np.where(np.isfinite(high), np.minimum(high, 1.0), high)
        return np.maximum(low, 0.0), high


def calibrate(
    backtest: Backtest,
    estimator: str,
    setting: Setting,
    family: str,
    left_out: LeaveOut = LeaveOut.SERIES,
) -> Calibration:
    """Learn the factor for one series from the held-out predictions of others.

    The others are all that `left_out` allows; those of the same task alone if they suffice,
    because whether a law fits differs between tasks. The series need not be in the backtest.
    Raises `FitError` if the backtest does not have the estimator.
    """
    if estimator not in backtest.estimators:
        known = ", ".join(backtest.estimators)
        raise FitError(f"no backtest of estimator {estimator!r} (there are: {known})")
    value = left_out.key(setting, family)
    others = [
        one
        for series, cases in backtest.of(estimator).items()
        if left_out.key(*series) != value
        for one in cases
        if np.isfinite(one.prediction)
    ]
    alike = [one for one in others if one.setting.task == setting.task]
    if len(alike) >= FEWEST_CASES:
        others = alike
    tasks = {one.setting.task for one in others}
    return Calibration(
        estimator=estimator,
        left_out=left_out,
        value=value,
        task=tasks.pop() if len(tasks) == 1 else None,
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
    """Held-out points of calibrated series."""
    before: float
    """Share of them inside the interval of one new run."""
    after: float
    """The same after widening."""
    half_width: float
    """Median after widening."""
    n_claimed: int
    """Those whose fit itself stood by its level."""
    after_claimed: float
    """Share of these inside the widened interval."""


def calibrated_coverage(
    backtest: Backtest, estimator: str, left_out: LeaveOut = LeaveOut.SERIES
) -> tuple[CalibratedCoverage, ...]:
    """How often intervals hold, by ratio, when each is widened by a factor that others gave."""
    bins: dict[tuple[float, float], list[tuple[Case, float]]] = {}
    for series, cases in backtest.of(estimator).items():
        learned = calibrate(backtest, estimator, *series, left_out)
        for one in cases:
            if learned.is_calibrated and np.isfinite(one.prediction):
                bins.setdefault(ratio_bin(one.ratio), []).append((one, learned.factor))
    return tuple(
        _coverage(estimator, left_out, edges, bins[edges])
        for edges in pairwise(RATIOS)
        if edges in bins
    )


def _coverage(
    estimator: str,
    left_out: LeaveOut,
    edges: tuple[float, float],
    group: Sequence[tuple[Case, float]],
) -> CalibratedCoverage:
    miss = np.abs([one.miss for one, _ in group])
    half = np.array([one.prediction for one, _ in group])
    widened = half * np.array([factor for _, factor in group])
    claimed = np.array([one.is_claimed for one, _ in group])
    inside = miss <= widened
    return CalibratedCoverage(
        estimator=estimator,
        left_out=left_out,
        above=edges[0],
        up_to=edges[1],
        n=len(group),
        before=float(np.mean(miss <= half)),
        after=float(np.mean(inside)),
        half_width=float(np.median(widened)),
        n_claimed=int(claimed.sum()),
        after_claimed=float(np.mean(inside[claimed])) if claimed.any() else np.nan,
    )


def _factor(cases: Sequence[Case], level: float) -> float:
    if len(cases) < FEWEST_CASES:
        return 1.0
    ratios = [abs(one.miss) / one.prediction for one in cases if one.prediction > 0]
    return max(1.0, float(np.quantile(ratios, level))) if ratios else 1.0
