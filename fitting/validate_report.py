"""A backtest as plain values for JSON: the keys are a contract; what cannot be told is None."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fitting.calibration import LeaveOut, calibrate, calibrated_coverage
from fitting.report import calibration_entry, number
from fitting.validate_choice import choose

if TYPE_CHECKING:
    from fitting.calibration import CalibratedCoverage, Calibration
    from fitting.validate import Backtest, Case
    from fitting.validate_choice import Choice
    from fitting.validate_scores import RatioScore, Score, SeriesScore


def backtest_entry(backtest: Backtest) -> dict[str, Any]:
    """Scores, choice, calibration and every case."""
    return {
        "by_ratio": [_ratio_score(one) for one in backtest.by_ratio()],
        "by_series": [_series_score(one) for one in backtest.by_series()],
        "choice": _choice(choose(backtest)),
        "calibration": [calibration_entry(one) for one in _calibrations(backtest)],
        "calibrated_coverage": [
            _coverage(one)
            for left_out in LeaveOut
            for name in backtest.estimators
            for one in calibrated_coverage(backtest, name, left_out)
        ],
        "cases": [_case(one) for one in backtest.cases],
        "untested": [
            {
                **one.setting._asdict(),
                "family": one.family,
                "estimator": one.estimator,
                "origin_gflops": one.origin,
                "reason": one.reason,
            }
            for one in backtest.untested
        ],
        "options": {
            "estimators": list(backtest.estimators),
            "level": backtest.level,
            "origins": "rolling" if backtest.cuts.origins is None else list(backtest.cuts.origins),
            "min_train": backtest.cuts.min_train,
            "truth": backtest.cuts.method,
        },
    }


def _calibrations(backtest: Backtest) -> list[Calibration]:
    """One for each estimator and series."""
    return [
        calibrate(backtest, name, *series)
        for name in backtest.estimators
        for series in backtest.of(name)
    ]


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "left_out": choice.left_out.value,
        "chosen": dict(choice.chosen),
        "by_ratio": [_ratio_score(one) for one in choice.by_ratio()],
    }


def _ratio_score(one: RatioScore) -> dict[str, Any]:
    return {"estimator": one.estimator, **_ratios(one), **_score(one.score)}


def _series_score(one: SeriesScore) -> dict[str, Any]:
    return {
        **one.setting._asdict(),
        "family": one.family,
        "origin_gflops": one.origin,
        "estimator": one.estimator,
        **_score(one.score),
    }


def _coverage(one: CalibratedCoverage) -> dict[str, Any]:
    return {
        "estimator": one.estimator,
        "left_out": one.left_out.value,
        **_ratios(one),
        "n": one.n,
        "coverage_before": one.before,
        "coverage_after": one.after,
        "median_half_width_after": one.half_width,
        "n_claimed": one.n_claimed,
        "claimed_coverage_after": number(one.after_claimed),
    }


def _ratios(one: RatioScore | CalibratedCoverage) -> dict[str, float | None]:
    return {"ratio_above": one.above, "ratio_up_to": number(one.up_to)}


def _case(one: Case) -> dict[str, Any]:
    entry = {**one.setting._asdict(), **asdict(one)}
    del entry["setting"]
    return _numbers(entry)


def _score(score: Score) -> dict[str, Any]:
    return _numbers(asdict(score))


def _numbers(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: number(value) if isinstance(value, float) else value for key, value in entry.items()
    }
