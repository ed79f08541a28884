"""Laws of model size and samples seen, L(N, D), for every series of a table of points."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from fitting.analysis import Failure
from fitting.errors import FitError
from fitting.prediction import Score
from fitting.report import number
from fitting.surfaces import Cells, Chinchilla, surface_estimator
from fitting.surfaces.series import read_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from fitting.errors import Floats
    from fitting.series import Series, Setting
    from fitting.surfaces import SurfaceFit, Surfaces

Interval = tuple[float, float]


class Size(StrEnum):
    """What the size of a model, N, is counted in."""

    PARAMS = "parameters"
    GFLOPS = "forward GFLOPs per sample"


@dataclass(frozen=True, kw_only=True)
class SurfaceOptions:
    """How to fit; None leaves a choice to the metric."""

    law: str | None = None
    """A name of `fitting.surfaces.SURFACE_LAWS`; chinchilla for losses, saturating for fractions.
    """
    loss: str | None = None
    """As in `fitting.Options`; log-huber for chinchilla, squares for saturating."""
    size: Size | None = None
    """None takes parameters for chinchilla where all are known, else GFLOPs per sample."""
    max_compute: Mapping[str, float] | float | None = None
    """GFLOPs above which cells are held out, or that of each study."""
    refits: int = 1000
    level: float = 0.95
    seed: int = 0

    def max_compute_of(self, study: str) -> float:
        """GFLOPs above which cells of `study` are held out, inf for none."""
        limit = self.max_compute
        if limit is None or isinstance(limit, int | float):
            return np.inf if limit is None else float(limit)
        return limit.get(study, np.inf)


@dataclass(frozen=True, eq=False)
class SurfaceSeries:
    """The law of one series, its refits and its misses on what was held out."""

    setting: Setting
    family: str
    size: Size
    fit: SurfaceFit
    refits: Surfaces
    held_out: Cells
    level: float

    @property
    def score(self) -> Score | None:
        """Misses on the held-out cells, None without any."""
        if not len(self.held_out):
            return None
        at = self.held_out.gflops_per_sample, self.held_out.samples_seen
        miss = self.fit.predict(*at) - self.held_out.error
        return Score(
            rmse=float(np.sqrt(np.mean(miss**2))),
            mae=float(np.mean(np.abs(miss))),
            bias=float(np.mean(miss)),
        )

    @property
    def refitted(self) -> list[dict[str, float]]:
        """The parameters of each refit."""
        law, scales = self.refits.law, self.refits.scales
        return [law.to_parameters(theta, scales) for theta in self.refits.theta]

    def interval(self, values: Floats) -> Interval:
        """Percentile interval of something computed from each refit."""
        low, high = np.quantile(values, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)

    def optimal_exponent(self) -> tuple[float, Interval] | None:
        r"""The exponent a of the best size, N ~ C^a, with its interval, if the law has one.

        Of L = E + A / N^alpha + B / D^beta at fixed C ~ N D: a = beta / (alpha + beta), and the
        best D ~ C^(1 - a). Source: Hoffmann et al. 2022, arXiv:2203.15556, equation 4.
        """
        if not isinstance(self.fit.law, Chinchilla):
            return None

        def exponent(parameters: Mapping[str, float]) -> float:
            return parameters["beta"] / (parameters["alpha"] + parameters["beta"])

        values = np.array([exponent(parameters) for parameters in self.refitted])
        return exponent(self.fit.parameters), self.interval(values)

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not finite is None."""
        refitted = self.refitted
        parameters = {
            name: _with_interval(value, self.interval(np.array([one[name] for one in refitted])))
            for name, value in self.fit.parameters.items()
        }
        exponent, score = self.optimal_exponent(), self.score
        return {
            **self.setting._asdict(),
            "family": self.family,
            "law": self.fit.law.name,
            "formula": self.fit.law.describe(self.fit.parameters),
            "size_unit": self.size.value,
            "loss": str(self.fit.loss),
            "prior": "none" if self.fit.penalty is None else "weak",
            "status": self.fit.status.value,
            "at_bound": list(self.fit.at_bound),
            "parameters": parameters,
            "optimal_size_exponent": None if exponent is None else _with_interval(*exponent),
            "interval": {"level": self.level, "method": "percentiles of refits to resamples"},
            "n_cells": len(self.fit.cells),
            "rmse": number(self.fit.rmse),
            "n_held_out": len(self.held_out),
            "held_out": None if score is None else asdict(score),
        }


def analyse_surfaces(
    points: pd.DataFrame, options: SurfaceOptions
) -> tuple[tuple[SurfaceSeries, ...], tuple[Failure, ...]]:
    """Fit a law of two variables to every series of `points`, a table as `analyse` takes it.

    A column `params` is used for model sizes if `options.size` allows. Also returns the series
    that cannot be fitted; raises `FitError` if that is all of them.
    """
    surface_estimator(is_fraction=True, law=options.law, loss=options.loss)
    found, failures = [], []
    for series, rows in read_cells(points, options.max_compute_of):
        try:
            found.append(_analyse(series, rows, options))
        except FitError as error:
            failures.append(Failure(series.setting, series.family, str(error)))
    if not found:
        raise FitError("\n  ".join(["no series can be fitted:", *map(str, failures)]))
    return tuple(found), tuple(failures)


def _analyse(series: Series, rows: pd.DataFrame, options: SurfaceOptions) -> SurfaceSeries:
    series.check()
    estimator = surface_estimator(
        is_fraction=series.setting.is_fraction, law=options.law, loss=options.loss
    )
    rows = rows.drop_duplicates()
    size = _size(rows, options.size, is_preferred=isinstance(estimator.law, Chinchilla))
    is_held_out = rows["compute_gflops"] > series.max_compute
    fitted = estimator.apply(_cells(rows[~is_held_out], size))
    return SurfaceSeries(
        setting=series.setting,
        family=series.family,
        size=size,
        fit=fitted,
        refits=fitted.refit(options.refits, options.seed),
        held_out=_cells(rows[is_held_out], size),
        level=options.level,
    )


def _size(rows: pd.DataFrame, wanted: Size | None, *, is_preferred: bool) -> Size:
    known = "params" in rows and bool(rows["params"].notna().all())
    if wanted is Size.PARAMS and not known:
        raise FitError("the parameters of some models are not known: take GFLOPs per sample")
    if wanted is None:
        return Size.PARAMS if known and is_preferred else Size.GFLOPS
    return wanted


def _cells(rows: pd.DataFrame, size: Size) -> Cells:
    """Cells with model sizes in the unit of `size`; of parameters, they know no compute."""
    samples = rows["samples_seen"].to_numpy(dtype=np.float64)
    if size is Size.PARAMS:
        sizes = rows["params"].to_numpy(dtype=np.float64)
    else:
        sizes = rows["compute_gflops"].to_numpy(dtype=np.float64) / samples
    return Cells.of(sizes, samples, rows["error"].to_numpy(dtype=np.float64))


def _with_interval(value: float, interval: Interval) -> dict[str, float | None]:
    low, high = interval
    return {"value": number(value), "low": number(low), "high": number(high)}
