"""Scores of a backtest: how far forecasts missed, and how often their intervals held."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from fitting.errors import Floats
    from fitting.series import Setting
    from fitting.validate import Forecast

RATIOS = (1.0, 2.0, 4.0, 8.0, 16.0, np.inf)
"""Edges of the bins of extrapolation; a bin holds its upper edge."""


@dataclass(frozen=True)
class Score:
    """Misses over n held-out points, predicted minus measured, and the intervals around them.

    Points of one series from several origins depend on one another: read n with `n_series`.
    """

    n: int
    n_series: int
    rmse: float
    mae: float
    bias: float
    n_intervals: int
    """Forecasts whose law is determined; those without are no part of the four figures below."""
    confidence_coverage: float
    """Share of points inside the interval of the law, which knows nothing of a run's scatter."""
    confidence_half_width: float
    """Median."""
    prediction_coverage: float
    """Share of points inside the interval of one new run."""
    prediction_half_width: float
    """Median."""

    @classmethod
    def of(cls, forecasts: Sequence[Forecast]) -> Score:
        """Score at least one forecast."""
        miss = np.array([one.miss for one in forecasts])
        confidence = np.array([one.confidence for one in forecasts])
        prediction = np.array([one.prediction for one in forecasts])
        return cls(
            n=len(forecasts),
            n_series=len({(one.setting, one.family) for one in forecasts}),
            rmse=float(np.sqrt(np.mean(miss**2))),
            mae=float(np.mean(np.abs(miss))),
            bias=float(np.mean(miss)),
            n_intervals=int(np.isfinite(prediction).sum()),
            confidence_coverage=_coverage(miss, confidence),
            confidence_half_width=_median(confidence),
            prediction_coverage=_coverage(miss, prediction),
            prediction_half_width=_median(prediction),
        )


@dataclass(frozen=True)
class RatioScore:
    """One estimator in one bin of extrapolation."""

    estimator: str
    above: float
    """Ratios above this, up to and including `up_to`."""
    up_to: float
    score: Score


@dataclass(frozen=True)
class SeriesScore:
    """One estimator on one series from one origin."""

    setting: Setting
    family: str
    origin: float
    estimator: str
    score: Score


def common_cases(forecasts: Iterable[Forecast], estimators: Sequence[str]) -> tuple[Forecast, ...]:
    """Forecasts of the points that every estimator predicted."""
    who: dict[Hashable, set[str]] = {}
    every = list(forecasts)
    for one in every:
        who.setdefault(_case(one), set()).add(one.estimator)
    return tuple(one for one in every if len(who[_case(one)]) == len(estimators))


def score_by_ratio(
    forecasts: Iterable[Forecast], estimators: Sequence[str]
) -> tuple[RatioScore, ...]:
    """A score for each estimator and each bin of extrapolation that holds anything."""
    grouped = _grouped(forecasts, lambda one: (one.estimator, ratio_bin(one.ratio)))
    return tuple(
        RatioScore(name, *edges, Score.of(grouped[name, edges]))
        for name in estimators
        for edges in pairwise(RATIOS)
        if (name, edges) in grouped
    )


def score_by_series(forecasts: Iterable[Forecast]) -> tuple[SeriesScore, ...]:
    """A score for each series, origin and estimator."""
    grouped = _grouped(forecasts, lambda one: (one.setting, one.family, one.origin, one.estimator))
    return tuple(
        SeriesScore(setting, family, origin, estimator, Score.of(group))
        for (setting, family, origin, estimator), group in grouped.items()
    )


def ratio_bin(ratio: float) -> tuple[float, float]:
    """The edges of the bin that holds `ratio`."""
    place = min(int(np.searchsorted(RATIOS, ratio, side="left")), len(RATIOS) - 1)
    return RATIOS[place - 1], RATIOS[place]


def _case(one: Forecast) -> Hashable:
    return one.setting, one.family, one.origin, one.gflops


def _grouped(
    forecasts: Iterable[Forecast], key: Callable[[Forecast], tuple[Any, ...]]
) -> dict[tuple[Any, ...], list[Forecast]]:
    groups: dict[tuple[Any, ...], list[Forecast]] = {}
    for one in forecasts:
        groups.setdefault(key(one), []).append(one)
    return groups


def _coverage(miss: Floats, half_width: Floats) -> float:
    known = np.isfinite(half_width)
    return float(np.mean(np.abs(miss[known]) <= half_width[known])) if known.any() else np.nan


def _median(half_width: Floats) -> float:
    known = half_width[np.isfinite(half_width)]
    return float(np.median(known)) if len(known) else np.nan
