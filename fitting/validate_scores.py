"""Scores of a backtest: how far predictions missed, and how often their intervals held."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from fitting.errors import Floats
    from fitting.series import Setting
    from fitting.validate import Case

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
    """Cases whose law is determined; those without are no part of the four figures below."""
    confidence_coverage: float
    """Share of points inside the interval of the law, which knows nothing of a run's scatter."""
    confidence_half_width: float
    """Median."""
    prediction_coverage: float
    """Share of points inside the interval of one new run."""
    prediction_half_width: float
    """Median."""
    n_claimed: int
    """Intervals that the fit itself stood by: no misfit in its residuals, enough points."""
    claimed_coverage: float
    """Share of points inside the interval of one new run, of those claimed."""

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Score:
        """Score at least one case."""
        miss = np.array([one.miss for one in cases])
        confidence = np.array([one.confidence for one in cases])
        prediction = np.array([one.prediction for one in cases])
        claimed = np.where([one.is_claimed for one in cases], prediction, np.inf)
        return cls(
            n=len(cases),
            n_series=len({(one.setting, one.family) for one in cases}),
            rmse=float(np.sqrt(np.mean(miss**2))),
            mae=float(np.mean(np.abs(miss))),
            bias=float(np.mean(miss)),
            n_intervals=int(np.isfinite(prediction).sum()),
            confidence_coverage=_coverage(miss, confidence),
            confidence_half_width=_median(confidence),
            prediction_coverage=_coverage(miss, prediction),
            prediction_half_width=_median(prediction),
            n_claimed=int(np.isfinite(claimed).sum()),
            claimed_coverage=_coverage(miss, claimed),
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


def common_cases(cases: Iterable[Case], estimators: Sequence[str]) -> tuple[Case, ...]:
    """Cases of the points that all estimators predicted, save those that predicted none at all."""
    every = list(cases)
    tested = {one.estimator for one in every}.intersection(estimators)
    who: dict[Hashable, set[str]] = {}
    for one in every:
        who.setdefault(_case(one), set()).add(one.estimator)
    return tuple(one for one in every if who[_case(one)] >= tested)


def score_by_ratio(cases: Iterable[Case], estimators: Sequence[str]) -> tuple[RatioScore, ...]:
    """A score for each estimator and each bin of extrapolation that holds anything."""
    grouped = _grouped(cases, lambda one: (one.estimator, ratio_bin(one.ratio)))
    return tuple(
        RatioScore(name, *edges, Score.of(grouped[name, edges]))
        for name in estimators
        for edges in pairwise(RATIOS)
        if (name, edges) in grouped
    )


def score_by_series(cases: Iterable[Case]) -> tuple[SeriesScore, ...]:
    """A score for each series, origin and estimator."""
    grouped = _grouped(cases, lambda one: (one.setting, one.family, one.origin, one.estimator))
    return tuple(
        SeriesScore(setting, family, origin, estimator, Score.of(group))
        for (setting, family, origin, estimator), group in grouped.items()
    )


def ratio_bin(ratio: float) -> tuple[float, float]:
    """The edges of the bin that holds `ratio`."""
    place = min(int(np.searchsorted(RATIOS, ratio, side="left")), len(RATIOS) - 1)
    return RATIOS[place - 1], RATIOS[place]


def _case(one: Case) -> Hashable:
    return one.setting, one.family, one.origin, one.gflops


def _grouped(
    cases: Iterable[Case], key: Callable[[Case], tuple[Any, ...]]
) -> dict[tuple[Any, ...], list[Case]]:
    groups: dict[tuple[Any, ...], list[Case]] = {}
    for one in cases:
        groups.setdefault(key(one), []).append(one)
    return groups


def _coverage(miss: Floats, half_width: Floats) -> float:
    known = np.isfinite(half_width)
    return float(np.mean(np.abs(miss[known]) <= half_width[known])) if known.any() else np.nan


def _median(half_width: Floats) -> float:
    known = half_width[np.isfinite(half_width)]
    return float(np.median(known)) if len(known) else np.nan
