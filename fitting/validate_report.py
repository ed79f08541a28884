"""A backtest as plain values for JSON: the keys are a contract; what cannot be told is None."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fitting.calibration import LeaveOut, calibrate, calibrated_coverage
from fitting.report import number

if TYPE_CHECKING:
    from fitting.calibration import Calibration
    from fitting.validate import Backtest, Forecast
    from fitting.validate_scores import Score


def backtest_entry(backtest: Backtest, left_out: LeaveOut = LeaveOut.TASK) -> dict[str, Any]:
    """Scores, calibration and every forecast."""
    return {
        "by_ratio": [
            {
                "estimator": one.estimator,
                "ratio_above": one.above,
                "ratio_up_to": number(one.up_to),
                **_score(one.score),
            }
            for one in backtest.by_ratio()
        ],
        "by_series": [
            {
                **one.setting._asdict(),
                "family": one.family,
                "origin_gflops": one.origin,
                "estimator": one.estimator,
                **_score(one.score),
            }
            for one in backtest.by_series()
        ],
        "calibration": [_calibration(one) for one in _calibrations(backtest, left_out)],
        "calibrated_coverage": [
            {
                "estimator": name,
                "left_out": one.left_out.value,
                "ratio_above": one.above,
                "ratio_up_to": number(one.up_to),
                "n": one.n,
                "coverage_before": one.before,
                "coverage_after": one.after,
                "median_half_width_after": one.half_width,
            }
            for name in backtest.estimators
            for one in calibrated_coverage(backtest, name, left_out)
        ],
        "forecasts": [_forecast(one) for one in backtest.forecasts],
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


def _calibrations(backtest: Backtest, left_out: LeaveOut) -> list[Calibration]:
    """One for each estimator and each value that is left out."""
    found: dict[tuple[str, str], Calibration] = {}
    for one in backtest.forecasts:
        key = one.estimator, left_out.key(one.setting, one.family)
        if key not in found:
            found[key] = calibrate(backtest, one.estimator, one.setting, one.family, left_out)
    return list(found.values())


def _calibration(one: Calibration) -> dict[str, Any]:
    return {
        "estimator": one.estimator,
        "left_out": one.left_out.value,
        "value": one.value,
        "level": one.level,
        "n": one.n,
        "n_series": one.n_series,
        "factor": number(one.factor),
        "status": "calibrated" if one.is_calibrated else "uncalibrated",
    }


def _forecast(one: Forecast) -> dict[str, Any]:
    entry = {**one.setting._asdict(), **asdict(one)}
    del entry["setting"]
    return {
        key: number(value) if isinstance(value, float) else value for key, value in entry.items()
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        key: number(value) if isinstance(value, float) else value
        for key, value in asdict(score).items()
    }
