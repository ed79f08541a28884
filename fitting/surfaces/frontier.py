"""The model-based frontier: every cell moved to where the best model of its compute would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fitting.errors import Floats
    from fitting.surfaces.cells import Cells
    from fitting.surfaces.fit import SurfaceFit
    from fitting.surfaces.surfaces import Surfaces


class MovedCells(NamedTuple):
    """Points for a law of compute, one for each fitted cell, by ascending compute."""

    gflops: Floats
    """Total forward GFLOPs (m,), unchanged."""
    error: Floats
    """Error (m,) had the cell's compute been divided best between size and samples."""


def moved_to_frontier(fit: SurfaceFit) -> MovedCells:
    r"""Each cell at its own compute, with the error of the best cell there plus its own residual.

    .. math:: y_i' = \min_G L(G, C_i / G) + (y_i - L(G_i, D_i))

    with L the fitted surface and G within the measured model sizes. Where a frontier keeps 15 to
    25 of 140 cells, and its running minimum favours lucky ones, this uses all of them, and their
    scatter stays in the points. The price is that the surface must be right.

    Measured: the four-parameter law fitted to moved cells up to 3e9, 1e10, 3e10, 1e11 and 2.5e11
    GFLOPs misses the published frontiers beyond (CLIP and MaMMUT, cosine, four tasks, two
    datasets) by an rms of 5.3, 2.0, 2.1, 2.3 and 2.1 percentage points; to a binned frontier,
    by 9.7, 6.8, 3.5, 1.9 and 1.1. So it is worth it while a grid is young. (The surface had
    `WEAK_PRIOR`, the law of compute no prior.) The default law, which has a prior of its own,
    gains nothing by it: in the rolling origins of `fitting.options.Options` it misses by 2.0, 2.4,
    2.8, 3.4 and 3.5 points, on binned frontiers by 1.2, 1.7, 2.2, 2.8 and 3.8.

    Only the cells that the surface was fitted to are moved, so hold cells out with `Cells.up_to`
    before fitting and they enter nothing.
    """
    return MovedCells(fit.cells.compute_gflops, moved_errors(fit.best, fit.cells)[0])


def moved_errors(surfaces: Surfaces, cells: Cells) -> Floats:
    """Error (b, m) of each of m cells moved to the frontier of each of b surfaces."""
    predicted = surfaces.predict(cells.gflops_per_sample, cells.samples_seen)
    return surfaces.least_error(cells.compute_gflops) + (cells.error - predicted)
