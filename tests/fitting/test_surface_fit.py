"""Fits of laws of two variables: recovery, optimum, speed, invariance, resamples."""

from time import process_time
from zlib import crc32

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import huber
from surface_cells import CHINCHILLA, SATURATING, grid, language_models, published_cells

from fitting.errors import FitError
from fitting.fit import FitStatus
from fitting.loss import LEAST_SQUARES, LOG_LEAST_SQUARES, Loss
from fitting.surfaces import (
    FOR_FRACTIONS,
    LOG_HUBER,
    WEAK_PRIOR,
    Cells,
    Chinchilla,
    SaturatingSurface,
    fit_surface,
)
from fitting.surfaces.descent import Problem, descend
from fitting.surfaces.fit import relative
from fitting.surfaces.projection import best_nodes
from fitting.surfaces.resample import draw, is_grid

LOSSES = [LEAST_SQUARES, LOG_LEAST_SQUARES, LOG_HUBER]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_chinchilla_parameters_of_exact_cells_are_recovered(loss: Loss) -> None:
    found = fit_surface(Chinchilla(), language_models(noise=0.0), loss=loss)

    assert found.status is FitStatus.CONVERGED
    assert found.parameters == pytest.approx(CHINCHILLA, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_chinchilla_parameters_of_noisy_cells_are_near(loss: Loss) -> None:
    found = fit_surface(Chinchilla(), language_models(tails=30.0), loss=loss)

    assert found.parameters["alpha"] == pytest.approx(0.3478, abs=0.01)
    assert found.parameters["beta"] == pytest.approx(0.3658, abs=0.01)
    assert found.parameters["E"] == pytest.approx(1.8172, abs=0.02)


def test_saturating_parameters_of_exact_cells_are_recovered() -> None:
    found = fit_surface(SaturatingSurface(), grid())

    assert found.status is FitStatus.CONVERGED
    assert found.parameters == pytest.approx(SATURATING, rel=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_no_scipy_start_finds_a_better_log_huber_optimum(seed: int) -> None:
    cells = language_models(seed)

    def cost(theta: np.ndarray) -> float:
        """Twice the sum of scipy's Huber, as `Loss.rho` counts, sharing none of our code."""
        ln_a, ln_b, ln_e, alpha, beta = theta
        of_size = np.exp(ln_a - alpha * np.log(cells.gflops_per_sample))
        of_samples = np.exp(ln_b - beta * np.log(cells.samples_seen))
        miss = np.log((of_size + of_samples + np.exp(ln_e)) / cells.error)
        return 2e6 * float(huber(1e-3, miss).sum())

    found = fit_surface(Chinchilla(), cells, loss=LOG_HUBER)
    options = {"maxiter": 3000, "maxfun": 30000, "ftol": 1e-15, "gtol": 1e-9}
    bounds = [(0, 20), (0, 20), (-5, 2), (0.02, 2), (0.02, 2)]
    best = min(
        1e-6 * minimize(cost, start, method="L-BFGS-B", bounds=bounds, options=options).fun
        for start in (
            [4.0, 4.0, 0.3, 0.25, 0.25],
            [6.0, 8.0, 0.6, 0.35, 0.35],
            [8, 8, 0.0, 0.5, 0.5],
        )
    )

    assert found.cost <= best * (1 + 1e-9)
    assert found.cost == pytest.approx(best, rel=1e-4)


def test_a_log_huber_fit_of_240_cells_takes_less_than_50_ms() -> None:
    cells = language_models()

    def seconds() -> float:
        start = process_time()
        fit_surface(Chinchilla(), cells, loss=LOG_HUBER)
        return process_time() - start

    assert min(seconds() for _ in range(8)) < 0.05


@pytest.mark.parametrize(
    ("family", "cells", "rms"), [("clip", 142, 0.0126), ("mammut", 146, 0.0163)]
)
def test_one_surface_explains_all_published_cells(figure_1, family, cells, rms) -> None:
    found = fit_surface(SaturatingSurface(), published_cells(figure_1, family))

    assert len(found.cells) == cells
    assert found.rmse == pytest.approx(rms, rel=0.15)
    assert found.status is FitStatus.CONVERGED


def test_what_size_is_measured_in_and_what_samples_are_does_not_matter() -> None:
    cells = grid(noise=0.01)
    rescaled = Cells.of(cells.gflops_per_sample * 1e-3, cells.samples_seen * 1e6, cells.error)

    here, there = (FOR_FRACTIONS.apply(one) for one in (cells, rescaled))

    at = np.array([20.0, 800.0]), np.array([1e8, 1e10])
    moved = at[0] * 1e-3, at[1] * 1e6
    np.testing.assert_allclose(there.predict(*moved), here.predict(*at), rtol=1e-6)
    np.testing.assert_allclose(
        there.refit(20, 0).predict(*moved), here.refit(20, 0).predict(*at), rtol=1e-4
    )
    best, moved_best = here.best.optimum(1e11), there.best.optimum(1e14)
    assert moved_best.samples_seen[0] == pytest.approx(best.samples_seen[0] * 1e6, rel=1e-3)


def test_order_of_cells_does_not_matter() -> None:
    cells = grid(noise=0.01)
    order = np.random.default_rng(0).permutation(len(cells))
    shuffled = Cells.of(
        cells.gflops_per_sample[order], cells.samples_seen[order], cells.error[order]
    )

    here, there = (FOR_FRACTIONS.apply(one) for one in (cells, shuffled))

    assert here.parameters == there.parameters
    np.testing.assert_array_equal(here.refit(30, 1).theta, there.refit(30, 1).theta)


def test_refits_find_the_optima_that_a_search_of_the_whole_grid_finds() -> None:
    cells = language_models(3)
    found = fit_surface(Chinchilla(), cells, loss=LOG_LEAST_SQUARES)
    refits = found.refit(24, 0)
    at = relative(cells, found.best.scales)
    weight = np.random.default_rng([0, crc32(cells.error.tobytes())]).multinomial(
        240, [1 / 240] * 240, 24
    )
    problem = Problem(Chinchilla(), at, cells.error, weight.astype(float), LOG_LEAST_SQUARES)

    nodes = Chinchilla().nodes(at, 26)
    from_grid = np.concatenate(
        [
            best_nodes(Chinchilla(), at, cells.error, one / cells.error**2, nodes, keep=1)
            for one in weight
        ]
    )
    best = descend(problem, from_grid)

    assert np.all(problem.cost(refits.theta) <= best.cost * (1 + 1e-8))


def test_a_resample_of_a_grid_holds_whole_rows_and_columns() -> None:
    cells = grid()

    held = draw(cells, 50, np.random.default_rng(0)) > 0

    for one in held:
        sizes = np.unique(cells.gflops_per_sample[one])
        lengths = np.unique(cells.samples_seen[one])
        assert one.sum() == len(sizes) * len(lengths)
        assert min(len(sizes), len(lengths)) >= 3


def test_cells_that_stand_in_no_grid_are_drawn_one_by_one() -> None:
    cells = language_models()

    weight = draw(cells, 50, np.random.default_rng(0))

    assert not is_grid(cells)
    assert np.all(weight.sum(axis=1) == len(cells))


def test_refits_scatter_as_the_truth_does() -> None:
    """Of simulated language models: refits of one data set against fits of 40 data sets."""
    fits = [
        fit_surface(Chinchilla(), language_models(seed, tails=30.0), loss=LOG_LEAST_SQUARES)
        for seed in range(40)
    ]
    at = np.array([7e10]), np.array([1.4e12])

    across = np.std([one.predict(*at)[0] for one in fits])
    within = fits[0].refit(200, 0).predict(*at).std()

    assert within == pytest.approx(across, rel=0.35)


def test_a_prior_pulls_what_few_cells_leave_open_and_is_honest_about_it() -> None:
    cells = grid(noise=0.01).up_to(2e9)

    free = fit_surface(SaturatingSurface(), cells)
    informed = fit_surface(SaturatingSurface(), cells, penalty=WEAK_PRIOR)

    at = np.array([100.0]), np.array([1e10])
    assert abs(informed.parameters["E"] - 0.08) <= abs(free.parameters["E"] - 0.08) + 1e-9
    half = 2 * informed.refit(100, 0).predict(*at).std()
    truth = fit_surface(SaturatingSurface(), grid()).predict(*at)
    assert abs(informed.predict(*at) - truth) < half


def test_a_law_without_floor_is_flagged_at_its_bound() -> None:
    cells = language_models(noise=0.0)
    shifted = Cells.of(cells.gflops_per_sample, cells.samples_seen, cells.error - 1.85)

    found = fit_surface(Chinchilla(), shifted, loss=LOG_LEAST_SQUARES)

    assert found.status is FitStatus.AT_BOUND
    assert "E" in found.at_bound


@pytest.mark.parametrize("chance", [0.9, 0.999])
def test_a_known_chance_is_kept_and_no_bound(chance: float) -> None:
    found = fit_surface(SaturatingSurface(chance=chance), grid(noise=0.005))

    assert found.parameters["e0"] == chance
    assert "e0" not in found.at_bound


SPREAD = np.geomspace(1, 100, 30)


@pytest.mark.parametrize(
    ("size", "samples", "error", "message"),
    [
        (SPREAD[:6], SPREAD[:6], np.linspace(3, 2, 6), "6 cells cannot determine 6 parameters"),
        (np.repeat([1.0, 2.0], 15), SPREAD, np.linspace(3, 2, 30), "2 different model sizes"),
        (SPREAD, np.ones(30), np.linspace(3, 2, 30), "1 different counts of samples seen"),
        (SPREAD, SPREAD, np.full(30, 0.999), "within 1 % of one another"),
        (SPREAD, SPREAD, np.full(30, np.nan), "30 of 30 cells have no finite error"),
        (-SPREAD, SPREAD, np.full(30, 0.5), "no positive, finite GFLOPs per sample"),
    ],
)
def test_cells_that_determine_no_surface_are_refused(size, samples, error, message) -> None:
    with pytest.raises(FitError, match=message):
        fit_surface(SaturatingSurface(), Cells.of(size, samples, error))


def test_an_error_of_zero_has_no_logarithm() -> None:
    with pytest.raises(FitError, match="needs errors above 0"):
        fit_surface(
            Chinchilla(), Cells.of(SPREAD, SPREAD[::-1], np.linspace(1, 0, 30)), loss=LOG_HUBER
        )


def test_cells_of_several_series_are_refused(figure_1) -> None:
    with pytest.raises(FitError, match="differ in family"):
        Cells.from_points(figure_1)
