"""The `model` frontier: a surface is fitted to all cells, and all are moved to its frontier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.frontier import Chosen, register
from fitting.surfaces.cells import Cells
from fitting.surfaces.estimator import FOR_FRACTIONS, FOR_LOSSES
from fitting.surfaces.frontier import moved_errors
from fitting.surfaces.resample import determines, levels
from fitting.surfaces.saturating import SaturatingSurface
from fitting.surfaces.surfaces import FARTHEST

if TYPE_CHECKING:
    from fitting.errors import Floats
    from fitting.frontier import Cells as SeriesCells
    from fitting.frontier import Curve
    from fitting.surfaces.fit import SurfaceFit

MODEL = "model"
BELOW_ZERO = "its residual would move it below an error of 0"


def model_frontier(
    cells: SeriesCells, drawn: Floats, generator: np.random.Generator | None = None
) -> Chosen:
    """Every cell as a point, moved by a surface fitted to each resample; see `moved_to_frontier`.

    For fractions it is the saturating surface by least squares with `WEAK_PRIOR`, which starts at
    the series' error of chance and fits that too where nobody knows it; for losses Chinchilla's by
    log-Huber, which has no chance. So the surface is that of `scaling predict`.

    Each refit counts its cells as often as they were drawn and starts at the surface of all
    `cells`; with a generator its prior is drawn anew. A resample with fewer than three sizes or
    three counts of samples seen has no frontier (all weights 0).

    The moved points share one surface, whose error no scatter around a law of compute shows, and
    the law has another shape than the surface's frontier. So the default interval is made of
    refits to resamples of the grid's rows and columns, and `SeriesFit.interval` draws it out to
    the surface's own frontier. Measured, nominal 0.95, for the frontier at 4 times the largest
    compute, where the truth is the surface of CLIP or MaMMUT (reference study, cells up to 1e10,
    1e11 and 1e12 GFLOPs; noise 1.3 points, independent or half of it shared by a size; 40
    experiments each of the twelve): t 0.05 to 0.80, refits to resampled cells 0.05 to 0.88, to
    the resampled grid 0.55 to 1.00; drawn out 0.75 to 1.00, 0.82 to 1.00, and **0.97 to 1.00**. A
    comparison of two series takes differences of the refits, which are not drawn out.

    Raises `FitError` if samples seen are missing or the cells cannot determine a surface.
    """
    fitted = _fitted(cells)
    surfaces = fitted.best
    if generator is not None or np.any(drawn != 1):
        surfaces = fitted.refit_to(drawn, generator)
    moved = moved_errors(surfaces, fitted.cells)
    usable = determines(drawn, *levels(fitted.cells))[:, None] & (moved >= 0)
    return Chosen(np.where(usable, drawn, 0.0), moved, BELOW_ZERO, _frontier_of(fitted))


def _frontier_of(fitted: SurfaceFit) -> Curve:
    """The surface's own frontier, by models no smaller than those measured."""
    smallest, largest = fitted.best.sizes
    within = smallest, largest * FARTHEST
    return lambda gflops: fitted.best.optimum(gflops, within=within).error


def _fitted(cells: SeriesCells) -> SurfaceFit:
    """The surface of all cells, which keep their order."""
    estimator = FOR_LOSSES
    if cells.is_fraction:
        estimator = replace(FOR_FRACTIONS, law=SaturatingSurface(chance=cells.chance_error))
    try:
        return estimator.apply(Cells.of_series(cells))
    except FitError as error:
        raise FitError(f"the {MODEL} frontier fits a surface to all cells: {error}") from error


register(MODEL, model_frontier)
