"""Laws of two variables, model size and samples seen, fitted to all cells of a series.

`Cells` hold a series, `fit_surface` fits a `SurfaceLaw` to them (`SaturatingSurface` for errors
that are fractions, `Chinchilla` for losses), `SurfaceFit.refit` resamples; `moved_to_frontier`
gives all cells to a law of compute, which the frontier `model` is. `fitting.allocate` and
`fitting.predict` build on these.
"""

from fitting.surfaces.cells import Cells
from fitting.surfaces.chinchilla import Chinchilla
from fitting.surfaces.estimator import (
    FOR_FRACTIONS,
    FOR_LOSSES,
    LOG_HUBER,
    SURFACE_LAWS,
    SurfaceEstimator,
    surface_estimator,
)
from fitting.surfaces.fit import SurfaceFit, fit_surface
from fitting.surfaces.frontier import MovedCells, moved_to_frontier
from fitting.surfaces.law import SurfaceLaw
from fitting.surfaces.lines import Line, frontier_line, isoflop_line
from fitting.surfaces.model_frontier import model_frontier
from fitting.surfaces.saturating import WEAK_PRIOR, SaturatingSurface
from fitting.surfaces.surfaces import Optimum, Surfaces

__all__ = [
    "FOR_FRACTIONS",
    "FOR_LOSSES",
    "LOG_HUBER",
    "SURFACE_LAWS",
    "WEAK_PRIOR",
    "Cells",
    "Chinchilla",
    "Line",
    "MovedCells",
    "Optimum",
    "SaturatingSurface",
    "SurfaceEstimator",
    "SurfaceFit",
    "SurfaceLaw",
    "Surfaces",
    "fit_surface",
    "frontier_line",
    "isoflop_line",
    "model_frontier",
    "moved_to_frontier",
    "surface_estimator",
]
