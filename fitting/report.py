"""Results as plain values for JSON: the keys are a contract; what cannot be told is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fitting.analysis import Options
    from fitting.compare import Comparison
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
        "left_out": dict(fit.left_out),
        "fitted_range_gflops": [float(fit.fit.gflops[0]), float(fit.fit.gflops[-1])],
        "rmse": number(fit.fit.rmse),
        "held_out": None if fit.score is None else asdict(fit.score),
        "predictions": [_numbers(asdict(one)) for one in fit.predict(targets)],
        "interval": {
            "level": fit.level,
            "of": "the law (confidence), not one new trial",
            "method": "t with the larger of model-based and HC3 variance",
        },
        "refits": {
            "count": 0 if fit.refits is None else len(fit.refits),
            "drawn_again": 0 if fit.refits is None else fit.refits.drawn_again,
        },
        "notes": list(fit.notes),
    }


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
        "doubts": list(comparison.doubts),
        "verdict": comparison.verdict,
    }


def options_entry(options: Options) -> dict[str, Any]:
    """The options that gave these results."""
    limit = options.max_compute
    return {
        "law": options.law,
        "frontier": options.frontier,
        "max_compute": dict(limit) if isinstance(limit, Mapping) else limit,
        "targets": list(options.targets),
        "refits": options.refits,
        "level": options.level,
        "seed": options.seed,
    }


def number(value: float) -> float | None:
    """The value, or None where strict JSON has no word for it."""
    return float(value) if isfinite(value) else None


def _numbers(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: number(value) if isinstance(value, float) else value for key, value in entry.items()
    }
