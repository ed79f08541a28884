"""Three ways to find the best division of a compute, fitted to the cells of one series."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.surfaces import frontier_line, isoflop_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats
    from fitting.surfaces import Cells, Line, SurfaceEstimator, SurfaceFit, Surfaces

MOST_LOST = 0.1
"""Share of resamples without an optimum from which the interval is not to be trusted."""


class Method(StrEnum):
    """Where an optimum comes from."""

    FRONTIER = "frontier line"
    ISOFLOP = "isoFLOP parabolas"
    SURFACE = "law of size and samples"


@dataclass(frozen=True)
class Optimum:
    """The best samples seen and model size at one compute, by one method."""

    method: Method
    compute_gflops: float
    samples_seen: float
    low: float
    """Ends of the percentile interval of samples seen over resamples of the cells."""
    high: float
    gflops_per_sample: float
    """Of the model that these samples leave compute for; its interval is compute / (high, low)."""
    exponent: float
    """d ln(samples seen) / d ln(compute) there."""
    notes: tuple[str, ...]
    """Why it may be doubted."""


@dataclass(frozen=True)
class Allocation:
    """What the methods say about one compute."""

    compute_gflops: float
    extrapolation: float
    """Compute relative to the largest measured."""
    optima: tuple[Optimum, ...]

    @property
    def disagreement(self) -> float | None:
        """Largest relative to smallest samples seen of the methods; None if only one answers."""
        samples = [optimum.samples_seen for optimum in self.optima]
        return max(samples) / min(samples) if len(samples) > 1 else None


@dataclass(frozen=True, eq=False)
class Allocator:
    """The methods fitted to the cells of one series; ask it for any compute."""

    cells: Cells
    lines: Mapping[Method, Line]
    surface: SurfaceFit | None
    surface_refits: Surfaces | None
    failures: Mapping[Method, str]
    """Why a method has no answer."""
    level: float

    def at(self, compute: float) -> Allocation:
        """The optimum at a compute in GFLOPs by each method that has one."""
        if not (np.isfinite(compute) and compute > 0):
            raise FitError(f"compute is {compute}; give positive, finite GFLOPs")
        found = [
            *(self._on_line(method, compute) for method in self.lines),
            self._on_surface(compute),
        ]
        return Allocation(
            compute_gflops=compute,
            extrapolation=compute / float(self.cells.compute_gflops.max()),
            optima=tuple(optimum for optimum in found if optimum is not None),
        )

    def _on_line(self, method: Method, compute: float) -> Optimum:
        line = self.lines[method]
        notes = [f"through {len(line.samples_seen)} points"]
        return self._optimum(
            method,
            compute,
            (line.samples(compute), line.exponent),
            (line.refitted_samples(compute), line.dropped),
            notes,
        )

    def _on_surface(self, compute: float) -> Optimum | None:
        """None where the error falls towards an end of all sizes, so that there is no optimum."""
        if self.surface is None or self.surface_refits is None:
            return None
        step = 0.05
        around = compute * np.exp(np.array([-step, 0.0, step]))
        below, here, above = self.surface.best.optimum(around).samples_seen
        if not np.isfinite(here):
            return None
        refits = self.surface_refits.optimum(compute).samples_seen
        usable = np.isfinite(refits)
        law, status = self.surface.law.name, self.surface.status.value
        notes = [f"{law}, fitted to {len(self.cells)} cells, status {status}"]
        return self._optimum(
            Method.SURFACE,
            compute,
            (float(here), float(np.log(above / below) / (2 * step))),
            (refits[usable], int(np.sum(~usable))),
            notes,
        )

    def _optimum(
        self,
        method: Method,
        compute: float,
        estimate: tuple[float, float],
        resampled: tuple[Floats, int],
        notes: list[str],
    ) -> Optimum:
        samples, exponent = estimate
        refits, dropped = resampled
        low, high = -np.inf, np.inf
        if len(refits):
            tails = (1 - self.level) / 2, (1 + self.level) / 2
            low, high = np.quantile(refits, tails)
        if dropped > MOST_LOST * (dropped + len(refits)):
            notes.append(f"{dropped} of {dropped + len(refits)} resamples have no optimum")
        notes += _beyond(self.cells.samples_seen, samples, "samples seen")
        notes += _beyond(self.cells.gflops_per_sample, compute / samples, "GFLOPs per sample")
        return Optimum(
            method=method,
            compute_gflops=compute,
            samples_seen=samples,
            low=min(float(low), samples),
            high=max(float(high), samples),
            gflops_per_sample=compute / samples,
            exponent=exponent,
            notes=tuple(notes),
        )


def allocator(
    cells: Cells,
    estimator: SurfaceEstimator,
    *,
    refits: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Allocator:
    """Fit every method to `cells`; what cannot be fitted is a reason, not an exception.

    Raises `FitError` if no method can be fitted.
    """
    lines: dict[Method, Line] = {}
    failures: dict[Method, str] = {}
    for method, through in ((Method.FRONTIER, frontier_line), (Method.ISOFLOP, isoflop_line)):
        try:
            lines[method] = through(cells, refits, seed)
        except FitError as error:
            failures[method] = str(error)
    surface: SurfaceFit | None = None
    try:
        surface = estimator.apply(cells)
    except FitError as error:
        failures[Method.SURFACE] = str(error)
    if surface is not None and not surface.is_determined:
        failures[Method.SURFACE] = f"the fit is {surface.status.value.replace('_', ' ')}"
        surface = None
    if surface is None and not lines:
        raise FitError("; ".join(f"{method}: {why}" for method, why in failures.items()))
    return Allocator(
        cells=cells,
        lines=lines,
        surface=surface,
        surface_refits=None if surface is None else surface.refit(refits, seed),
        failures=failures,
        level=level,
    )


def _beyond(measured: Floats, value: float, name: str) -> list[str]:
    low, high = float(measured.min()), float(measured.max())
    if value > high:
        return [f"{value / high:.2g}x the largest {name} measured"]
    if value < low:
        return [f"{low / value:.2g}x below the smallest {name} measured"]
    return []
