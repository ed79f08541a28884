"""The best division of a compute on a surface, and cells moved to the frontier by it."""

import numpy as np
import pytest
from surface_cells import CHINCHILLA, grid, language_models, published_cells

from fitting.fit import fit
from fitting.frontier import frontier
from fitting.laws import law_named
from fitting.surfaces import (
    FOR_FRACTIONS,
    Cells,
    Chinchilla,
    SaturatingSurface,
    fit_surface,
    moved_to_frontier,
)


@pytest.mark.parametrize("compute", [1e18, 1e21, 1e24])
def test_optimum_of_chinchilla_is_the_closed_form(compute: float) -> None:
    surface = fit_surface(Chinchilla(), language_models(noise=0.0)).best
    a, b, alpha, beta = (CHINCHILLA[name] for name in ("A", "B", "alpha", "beta"))
    size = (alpha * a / (beta * b)) ** (1 / (alpha + beta)) * compute ** (beta / (alpha + beta))

    best = surface.optimum(compute)

    assert best.gflops_per_sample[0] == pytest.approx(size, rel=1e-3)
    assert best.gflops_per_sample[0] * best.samples_seen[0] == pytest.approx(compute)


def test_no_size_does_better_than_the_optimum() -> None:
    fitted = fit_surface(SaturatingSurface(), grid(noise=0.01))

    best = fitted.best.optimum(1e11)

    size = np.geomspace(1, 1e4, 500)
    assert fitted.predict(size, 1e11 / size).min() >= best.error[0] - 1e-9


def test_a_law_that_size_does_not_change_has_no_optimum() -> None:
    cells = grid()
    flat = Cells.of(cells.gflops_per_sample, cells.samples_seen, 2 + 1e3 / cells.samples_seen**0.5)

    best = fit_surface(Chinchilla(), flat).best.optimum(1e11)

    assert np.isnan(best.samples_seen[0])


def test_cells_are_moved_by_what_their_size_costs_them() -> None:
    cells = grid()
    fitted = fit_surface(SaturatingSurface(), cells)

    moved = moved_to_frontier(fitted)

    best = fitted.best.optimum(cells.compute_gflops, within=(5.0, 400.0)).error
    np.testing.assert_array_equal(moved.gflops, cells.compute_gflops)
    np.testing.assert_allclose(moved.error, best, atol=5e-6)
    assert np.all(moved.error <= cells.error + 5e-6)


def test_moved_cells_keep_their_residuals() -> None:
    fitted = fit_surface(SaturatingSurface(), grid(noise=0.01))

    moved = moved_to_frontier(fitted)

    best = fitted.best.optimum(fitted.cells.compute_gflops, within=fitted.best.sizes).error
    np.testing.assert_allclose(moved.error - best, fitted.residual, atol=5e-6)


def test_the_held_out_range_does_not_move_a_cell(figure_1) -> None:
    cells = published_cells(figure_1, "clip")
    spoiled = Cells.of(
        cells.gflops_per_sample,
        cells.samples_seen,
        np.where(cells.compute_gflops > 1e11, 0.9, cells.error),
    )

    here, there = (
        moved_to_frontier(FOR_FRACTIONS.apply(one.up_to(1e11))) for one in (cells, spoiled)
    )

    np.testing.assert_array_equal(here.error, there.error)
    assert here.gflops.max() <= 1e11


@pytest.mark.parametrize("family", ["clip", "mammut"])
def test_moved_cells_of_a_young_grid_predict_better_than_its_frontier(
    figure_1, family: str
) -> None:
    """Cells up to 1e10 GFLOPs predict the frontier up to 1e12."""
    cells = published_cells(figure_1, family)
    young = cells.up_to(1e10)
    moved = moved_to_frontier(FOR_FRACTIONS.apply(young))
    best = frontier("bins", young.compute_gflops, young.error)
    target = frontier("pareto", cells.compute_gflops, cells.error)
    later = target.gflops > 1e10

    by_moved, by_frontier = (
        np.sqrt(np.mean((law.predict(target.gflops) - target.error)[later] ** 2))
        for law in (
            fit(law_named("saturating"), moved.gflops, moved.error),
            fit(law_named("saturating"), best.gflops, best.error),
        )
    )

    assert by_moved < 0.04
    assert by_moved < by_frontier
