"""Forecasts of the error of one trial, by a law of compute and by a law of size and samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from fitting.errors import FitError

if TYPE_CHECKING:
    from fitting.calibration import Calibration
    from fitting.options import Options
    from fitting.series import Series
    from fitting.surfaces import Cells, SurfaceEstimator, SurfaceFit

FEWEST_REFITS = 100
"""Refits of the law of compute, whose interval needs none."""


class Basis(StrEnum):
    """The law that a forecast rests on."""

    FRONTIER = "law of compute (frontier)"
    SURFACE = "law of size and samples"


@dataclass(frozen=True)
class Target:
    """The trial that is asked for."""

    gflops_per_sample: float
    samples_seen: float
    dataset_size: float | None = None
    """Unique samples of the training set, None if unknown."""

    def __post_init__(self) -> None:
        """Check every number."""
        values = {
            "GFLOPs per sample": self.gflops_per_sample,
            "samples seen": self.samples_seen,
            "dataset size": 1.0 if self.dataset_size is None else self.dataset_size,
        }
        wrong = [f"{name} is {v}" for name, v in values.items() if not (np.isfinite(v) and v > 0)]
        if wrong:
            raise FitError(f"{'; '.join(wrong)}: give positive, finite numbers")

    @property
    def compute_gflops(self) -> float:
        """Total forward GFLOPs."""
        return self.gflops_per_sample * self.samples_seen

    @property
    def epochs(self) -> float | None:
        """Times that each unique sample is seen, None if their number is unknown."""
        return None if self.dataset_size is None else self.samples_seen / self.dataset_size


@dataclass(frozen=True)
class Extrapolation:
    """How far a target lies beyond the fitted cells; at most 1 is inside."""

    compute: float
    """Relative to the largest."""
    samples_seen: float
    """Relative to the largest."""
    gflops_per_sample: float
    """Relative to the largest, or the smallest relative to it where it is smaller."""


@dataclass(frozen=True)
class Forecast:
    """The predicted error of one new trial by one law, and where it will fall."""

    basis: Basis
    error: float
    law_error: float
    """Standard error of the law itself."""
    scatter: float
    """Standard deviation of single cells about the law."""
    degrees_of_freedom: int
    level: float
    is_fraction: bool
    notes: tuple[str, ...]
    calibration: Calibration | None = None
    """What widens the interval; None leaves it as the law has it."""

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the prediction interval: t times both standard deviations together, widened."""
        quantile = float(stdtrit(self.degrees_of_freedom, (1 + self.level) / 2))
        factor = 1.0 if self.calibration is None else self.calibration.factor
        half = factor * quantile * float(np.hypot(self.law_error, self.scatter))
        high = self.error + half
        return max(self.error - half, 0.0), min(high, 1.0) if self.is_fraction else high


def fit_determined(estimator: SurfaceEstimator, cells: Cells) -> SurfaceFit:
    """The law of size and samples. Raises `FitError` if the cells leave it open."""
    surface = estimator.apply(cells)
    if not surface.is_determined:
        raise FitError(f"the fit is {surface.status.value.replace('_', ' ')}")
    return surface


def by_surface(series: Series, surface: SurfaceFit, target: Target, options: Options) -> Forecast:
    """The forecast of a law of size and samples fitted to the cells of `series`."""
    at = np.array([target.gflops_per_sample]), np.array([target.samples_seen])
    error = surface.predict(*at)
    refits = surface.refit(options.refits, options.seed).predict(*at)
    # About the fit, not about their own mean: refits that are biased widen the interval.
    law_error = float(np.sqrt(np.mean((refits - error) ** 2)))
    notes = [f"{surface.law.name}, fitted to {len(surface.cells)} cells, rms {surface.rmse:.4f}"]
    if surface.at_bound:
        notes.append(f"{', '.join(surface.at_bound)} at a bound")
    return Forecast(
        basis=Basis.SURFACE,
        error=float(error[0]),
        law_error=law_error,
        scatter=float(surface.scatter(error)[0]),
        degrees_of_freedom=surface.degrees_of_freedom,
        level=options.level,
        is_fraction=series.setting.is_fraction,
        notes=tuple(notes),
    )


def by_frontier(series: Series, target: Target, options: Options) -> Forecast:
    """The forecast of a law of compute, which is that of the best model of the target's compute.

    Raises `FitError` if the frontier leaves the law open.
    """
    fitted = replace(options, refits=FEWEST_REFITS, interval="t").estimator.apply(series)
    if not fitted.is_determined:
        raise FitError(f"the fit is {fitted.fit.status.value.replace('_', ' ')}")
    at = np.array([target.compute_gflops])
    freedom = fitted.fit.degrees_of_freedom
    overall = fitted.fit.rmse * float(np.sqrt(len(fitted.frontier) / freedom))
    return Forecast(
        basis=Basis.FRONTIER,
        error=float(fitted.fit.predict(at)[0]),
        law_error=float(fitted.fit.standard_error(at)[0]),
        # A trial need not be on the frontier: its scatter there does not shrink with the error.
        scatter=max(float(fitted.fit.scatter(at)[0]), overall),
        degrees_of_freedom=freedom,
        level=options.level,
        is_fraction=series.setting.is_fraction,
        notes=(f"fitted to {len(fitted.frontier)} points, for the best model of this compute",),
    )


def extrapolation(cells: Cells, target: Target) -> Extrapolation:
    """How far `target` lies beyond `cells`."""
    sizes = cells.gflops_per_sample
    size = target.gflops_per_sample
    return Extrapolation(
        compute=target.compute_gflops / float(cells.compute_gflops.max()),
        samples_seen=target.samples_seen / float(cells.samples_seen.max()),
        gflops_per_sample=max(size / float(sizes.max()), float(sizes.min()) / size),
    )
