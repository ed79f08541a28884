"""The error of one model after so many samples, from both kinds of law, before it is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fitting.calibrated import Calibrator
from fitting.errors import FitError
from fitting.options import Options
from fitting.predict_forecasts import (
    Basis,
    Extrapolation,
    Forecast,
    Target,
    by_frontier,
    by_surface,
    extrapolation,
    fit_determined,
)
from fitting.report import calibration_entry, number
from fitting.surfaces import surface_estimator
from fitting.surfaces.series import read_cells, training_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from fitting.series import Series, Setting
    from fitting.surfaces import SurfaceFit

__all__ = ["Basis", "Extrapolation", "Forecast", "Prediction", "Target", "predict"]

SAME_CELL = 1e-3
"""Relative difference of samples and compute of one and the same cell, which tables round."""
REPEATS_LIKE_FRESH = 4.0
"""Epochs up to which repeated text is worth about as much as fresh text (Muennighoff et al. 2023,
arXiv:2305.16264); no such number has been measured for image-text pairs."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is to be expected of a target in one setting."""

    setting: Setting
    family: str
    target: Target
    level: float
    forecasts: tuple[Forecast, ...]
    failures: Mapping[Basis, str]
    extrapolation: Extrapolation | None
    off_frontier: float | None
    """Predicted error minus that of the best measured size at the same compute, by the law of size
    and samples: what the choice of this model costs, and what a law of compute cannot know."""
    measured: float | None
    """Lowest measured error of this very cell, held out or not, if there is one."""
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not finite is None."""
        return {
            **self.setting._asdict(),
            "family": self.family,
            **asdict(self.target),
            "compute_gflops": self.target.compute_gflops,
            "epochs": self.target.epochs,
            "interval": {"level": self.level, "of": "one new trial (prediction)"},
            "forecasts": [_entry(one) for one in self.forecasts],
            "failures": {basis.value: why for basis, why in self.failures.items()},
            "extrapolation": None if self.extrapolation is None else asdict(self.extrapolation),
            "off_frontier": self.off_frontier,
            "measured": self.measured,
            "warnings": list(self.warnings),
        }


def predict(
    points: pd.DataFrame,
    target: Target,
    options: Options | None = None,
    *,
    calibrate_on: pd.DataFrame | None = None,
    surface: str | None = None,
) -> tuple[Prediction, ...]:
    """Predict `target` in each setting and family of `points`, a table as `analyse` takes it.

    The interval of the law of compute is calibrated on the other series of `calibrate_on`, by
    default `points`; that of the law of size and samples has no backtest and stays as it is.
    `surface` names the law of size and samples, by default chinchilla for losses and saturating
    for fractions. Of `options`, `targets` and `interval` are not used. What a law
    cannot be fitted to is a reason in `failures`.

    Raises `FitError` if no law can be fitted to any series.
    """
    # A wrong name concerns no series: raise it before any is fitted.
    surface_estimator(is_fraction=True, law=surface)
    options = replace(options or Options(), interval="t")
    table = points if calibrate_on is None else calibrate_on
    calibrator = Calibrator(table, options) if options.calibrate else None
    found = tuple(
        _predict(series, rows, target, options, calibrator, surface)
        for series, rows in read_cells(points, options.max_compute_of)
    )
    if not any(one.forecasts for one in found):
        reasons = {f"{one.setting}: {why}" for one in found for why in one.failures.values()}
        raise FitError("\n  ".join(["nothing can be predicted:", *sorted(reasons)]))
    return found


def _predict(
    series: Series,
    rows: pd.DataFrame,
    target: Target,
    options: Options,
    calibrator: Calibrator | None,
    law: str | None,
) -> Prediction:
    forecasts: list[Forecast] = []
    failures: dict[Basis, str] = {}
    beyond, off_frontier = None, None
    try:
        cells = training_cells(series, rows)
        beyond = extrapolation(cells, target)
        estimator = surface_estimator(is_fraction=series.setting.is_fraction, law=law)
        surface = fit_determined(estimator, cells)
        off_frontier = _off_frontier(surface, target)
        forecasts.append(by_surface(series, surface, target, options))
    except FitError as error:
        failures[Basis.SURFACE] = str(error)
    try:
        forecast = by_frontier(series, target, options)
        if calibrator is not None:
            forecast = replace(forecast, calibration=calibrator.calibration(series))
        forecasts.append(forecast)
    except FitError as error:
        failures[Basis.FRONTIER] = str(error)
    return Prediction(
        setting=series.setting,
        family=series.family,
        target=target,
        level=options.level,
        forecasts=tuple(forecasts),
        failures=failures,
        extrapolation=beyond,
        off_frontier=off_frontier,
        measured=_measured(rows, target),
        warnings=_repetition(target),
    )


def _off_frontier(surface: SurfaceFit, target: Target) -> float:
    """Error above that of the best size, among those measured and the target's own."""
    low, high = surface.best.sizes
    own = target.gflops_per_sample
    within = min(low, own), max(high, own)
    best = surface.best.optimum(target.compute_gflops, within=within).error
    here = surface.predict(np.array([own]), np.array([target.samples_seen]))
    return max(float(here[0] - best[0]), 0.0)


def _measured(rows: pd.DataFrame, target: Target) -> float | None:
    same = np.isclose(rows["samples_seen"], target.samples_seen, rtol=SAME_CELL)
    same &= np.isclose(rows["compute_gflops"], target.compute_gflops, rtol=SAME_CELL)
    return float(rows["error"].to_numpy()[same].min()) if same.any() else None


def _repetition(target: Target) -> tuple[str, ...]:
    epochs = target.epochs
    if epochs is None or epochs <= 1:
        return ()
    if epochs <= REPEATS_LIKE_FRESH:
        return (f"each unique sample is seen {epochs:.2g} times: a law of fresh samples may hold",)
    return (
        f"each unique sample is seen {epochs:.2g} times: beyond {REPEATS_LIKE_FRESH:.0f} epochs "
        "repeated samples are worth less than fresh ones, which the laws do not know; expect a "
        "larger error than predicted",
    )


def _entry(forecast: Forecast) -> dict[str, Any]:
    low, high = forecast.interval
    return {
        "basis": forecast.basis.value,
        "error": number(forecast.error),
        "low": number(low),
        "high": number(high),
        "law_error": number(forecast.law_error),
        "scatter": number(forecast.scatter),
        "calibration": None
        if forecast.calibration is None
        else calibration_entry(forecast.calibration),
        "notes": list(forecast.notes),
    }
