"""Results as plain values for JSON: the keys are a contract; what cannot be told is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from fitting.provenance import data_sha256

if TYPE_CHECKING:
    from fitting.calibration import Calibration
    from fitting.compare import Comparison
    from fitting.fit import Fit
    from fitting.options import Options
    from fitting.prediction import Score
    from fitting.selection import Candidate
    from fitting.sensitivity import Variant
    from fitting.series_fit import SeriesFit


def fit_entry(fit: SeriesFit, targets: tuple[float, ...]) -> dict[str, Any]:
    """One element of `fits`."""
    series = fit.series
    return {
        **series.setting._asdict(),
        "family": series.family,
        "law": fit.fit.law.name,
        "parameters": {name: number(value) for name, value in fit.fit.parameters.items()},
        "status": fit.fit.status.value,
        "at_bound": list(fit.fit.at_bound),
        "n_points": len(fit.frontier),
        "n_held_out": len(fit.held_out),
        "n_cells": len(series.gflops),
        "data_sha256": data_sha256(series),
        "left_out": dict(fit.left_out),
        "fitted_range_gflops": [float(fit.fit.gflops[0]), float(fit.fit.gflops[-1])],
        "rmse": number(fit.fit.rmse),
        "aicc": number(fit.fit.aicc),
        "held_out": _score(fit.score),
        "predictions": [_numbers(asdict(one)) for one in fit.predict(targets)],
        "interval": {
            "level": fit.level,
            "of": "the law (confidence), not one new trial",
            "method": fit.interval_text,
            "claim": fit.claim,
            "doubt": fit.doubt,
        },
        "calibration": None if fit.calibration is None else calibration_entry(fit.calibration),
        "estimation": _estimation(fit.fit),
        "at_edge": list(fit.fit.at_edge),
        "diagnostics": {
            **_numbers(asdict(fit.fit.diagnostics)),
            "shows_misfit": fit.fit.diagnostics.shows_misfit,
        },
        "candidates": [_candidate(one, fit) for one in fit.candidates],
        "full_law": None if fit.full_law is None else _full_law(fit.full_law),
        "refits": {
            "count": 0 if fit.refits is None else len(fit.refits),
            "drawn_again": 0 if fit.refits is None else fit.refits.drawn_again,
            "of": fit.resampled,
        },
        "notes": list(fit.notes),
    }


def calibration_entry(one: Calibration) -> dict[str, Any]:
    """What widened `new_low` and `new_high`, the interval of one new run, and by how much."""
    return {
        "estimator": one.estimator,
        "left_out": one.left_out.value,
        "value": one.value,
        "learned_on_task": one.task,
        "level": one.level,
        "n": one.n,
        "n_series": one.n_series,
        "factor": number(one.factor),
        "status": "calibrated" if one.is_calibrated else "uncalibrated",
        "words": str(one),
    }


def _estimation(fit: Fit) -> dict[str, Any]:
    objective = fit.objective
    return {
        "loss": str(objective.loss),
        "weights": objective.weights_name,
        "prior": objective.prior_name,
    }


def _candidate(one: Candidate, fit: SeriesFit) -> dict[str, Any]:
    found = one.fit
    return {
        "law": one.law.name,
        "chosen": found is not None and found is fit.fit,
        "aicc": number(one.aicc),
        "aicc_above_best": number(one.aicc - min(other.aicc for other in fit.candidates)),
        "parameters": None if found is None else _numbers(found.parameters),
        "status": None if found is None else found.status.value,
        "rmse": None if found is None else number(found.rmse),
        "held_out": _score(one.held_out),
        "backtest": _score(one.backtest),
        "n_backtest": one.n_backtest,
        "reason": one.reason,
    }


def _full_law(fit: Fit) -> dict[str, Any]:
    return {
        "law": fit.law.name,
        "parameters": _numbers(fit.parameters),
        "status": fit.status.value,
        "at_bound": list(fit.at_bound),
        "rmse": number(fit.rmse),
        "aicc": number(fit.aicc),
        "estimation": _estimation(fit),
    }


def _score(score: Score | None) -> dict[str, Any] | None:
    return None if score is None else asdict(score)


def comparison_entry(comparison: Comparison) -> dict[str, Any]:
    """One element of `comparisons`."""
    crossing = comparison.crossing
    return {
        **comparison.setting._asdict(),
        "a": comparison.a,
        "b": comparison.b,
        "crossing_gflops": None if crossing is None else number(crossing.gflops),
        "crossing_low": None if crossing is None else crossing.low,
        "crossing_high": None if crossing is None else crossing.high,
        "crossing": None if crossing is None else _numbers(asdict(crossing)),
        "better_at": [_numbers(asdict(at)) for at in comparison.better_at],
        "slopes": [_numbers(asdict(at)) for at in comparison.slopes],
        "doubts": list(comparison.doubts),
        "caveats": list(comparison.caveats),
        "verdict": comparison.verdict,
    }


def sensitivity_entry(variants: tuple[Variant, ...]) -> list[dict[str, Any]]:
    """`sensitivity` of one element of `comparisons`, one element a variant."""
    return [_plain(asdict(one)) for one in variants]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return number(value) if isinstance(value, float) else value


def options_entry(options: Options) -> dict[str, Any]:
    """The options that gave these results."""
    limit, chance = options.max_compute, options.chance_error
    return {
        "law": options.law_name,
        "frontier": options.frontier,
        "weights": options.estimator.objective.weights_name,
        "loss": options.loss,
        "prior": options.estimator.objective.prior_name,
        "interval": options.interval_name,
        "resample": options.resample_name,
        "chance_error": dict(chance) if isinstance(chance, Mapping) else chance,
        "max_compute": dict(limit) if isinstance(limit, Mapping) else limit,
        "targets": list(options.targets),
        "refits": options.refits,
        "level": options.level,
        "seed": options.seed,
        "sensitivity": options.sensitivity,
        "calibrate": options.calibrate,
    }


def number(value: float) -> float | None:
    """The value, or None where strict JSON has no word for it."""
    return float(value) if isfinite(value) else None


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: number(value) if isinstance(value, float) else value for key, value in entry.items()
    }
