"""One fit: recovery, global optimum, invariances, statuses."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from fitting.errors import FitError
from fitting.fit import Fit, FitStatus, fit, student_t
from fitting.frontier import frontier
from fitting.laws import law_named

LAW = law_named("saturating")
TRUTH = {"A": 125.0, "lnB": 19.29, "alpha": 0.2556, "E": 0.101}
GFLOPS = np.geomspace(2e7, 1e12, 24)


def curve(gflops: np.ndarray, **changed: float) -> np.ndarray:
    truth = TRUTH | changed
    return truth["A"] * (gflops + np.exp(truth["lnB"])) ** -truth["alpha"] + truth["E"]


def noisy(seed: int, sd: float = 0.01, **changed: float) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(GFLOPS))
    return curve(GFLOPS, **changed) + sd * noise


def sse_of_scipy(gflops: np.ndarray, error: np.ndarray) -> float:
    """The best of several plain scipy fits in (ln A, ln B, alpha, E), sharing none of our code."""

    def residual(theta: np.ndarray) -> np.ndarray:
        ln_a, ln_b, alpha, floor = theta
        return np.exp(ln_a - alpha * np.log(gflops + np.exp(ln_b))) + floor - error

    low = [-np.inf, np.log(gflops[0]) - 5, 0.02, 0.0]
    high = [np.inf, np.log(gflops[-1]), 2.0, error.min()]
    bounds = (np.array(low), np.array(high))
    best = np.inf
    for ln_b in (16.0, 18.0, 20.0, 22.0):
        for alpha in (0.1, 0.25, 0.5):
            start = np.array([alpha * 20, ln_b, alpha, error.min() / 3])
            found = least_squares(
                residual, start, bounds=bounds, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15
            )
            best = min(best, 2 * found.cost)
    return float(best)


def test_parameters_of_exact_points_are_recovered() -> None:
    found = fit(LAW, GFLOPS, curve(GFLOPS))

    assert found.status is FitStatus.CONVERGED
    assert found.parameters == pytest.approx(TRUTH, rel=1e-6)
    assert found.rmse < 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_no_scipy_start_finds_a_better_optimum(seed: int) -> None:
    error = noisy(seed, alpha=0.1 + 0.08 * seed, A=20.0, lnB=18.0)
    error = error / error.max()

    found = fit(LAW, GFLOPS, error)

    assert found.sse <= sse_of_scipy(GFLOPS, error) * (1 + 1e-9)


@pytest.mark.parametrize("family", ["clip", "mammut"])
def test_no_scipy_start_finds_a_better_optimum_on_published_points(figure_1, family) -> None:
    rows = figure_1[(figure_1["family"] == family) & (figure_1["compute_gflops"] <= 1e12)]
    best = frontier("published", rows["compute_gflops"].to_numpy(), rows["error"].to_numpy())

    found = fit(LAW, best.gflops, best.error)

    assert found.sse == pytest.approx(sse_of_scipy(best.gflops, best.error), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e6])
def test_unit_of_compute_does_not_matter(unit: float) -> None:
    error = noisy(0)

    here, there = fit(LAW, GFLOPS, error), fit(LAW, GFLOPS * unit, error)

    targets = np.array([1e8, 1e11, 1e14])
    np.testing.assert_allclose(there.predict(targets * unit), here.predict(targets), rtol=1e-7)
    for a, b in zip(there.interval(targets * unit), here.interval(targets), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert there.parameters["alpha"] == pytest.approx(here.parameters["alpha"], rel=1e-6)
    assert there.parameters["lnB"] == pytest.approx(here.parameters["lnB"] + np.log(unit))
    assert there.status is here.status


def test_order_of_points_does_not_matter() -> None:
    error = noisy(1)
    order = np.random.default_rng(0).permutation(len(GFLOPS))

    assert fit(LAW, GFLOPS, error).parameters == fit(LAW, GFLOPS[order], error[order]).parameters


def test_a_floor_of_zero_is_flagged_as_a_bound() -> None:
    found = fit(LAW, GFLOPS, noisy(2, sd=0.005, E=0.0) - 0.02 * np.linspace(0, 1, len(GFLOPS)))

    assert found.status is FitStatus.AT_BOUND
    assert found.at_bound == ("E",)
    assert found.parameters["E"] == 0.0
    assert np.all(np.isfinite(found.interval(np.array([1e13]))))


def test_a_straight_line_in_log_log_leaves_b_at_its_bound() -> None:
    found = fit(LAW, GFLOPS, 30 * GFLOPS**-0.2)

    assert found.status is FitStatus.AT_BOUND
    assert "lnB" in found.at_bound


def test_parameters_that_the_points_do_not_tell_apart_get_no_interval() -> None:
    """Two levels: any steep law between them explains both, so nothing is known in between."""
    gflops = np.array([1e6, 1.1e6, 1.2e6, 1e12, 1.1e12, 1.2e12])
    error = np.array([0.9, 0.9, 0.9, 0.3, 0.3, 0.3])

    found = fit(LAW, gflops, error)

    assert found.status is FitStatus.AMBIGUOUS
    low, high = found.interval(np.array([1e9]))
    assert not np.isfinite(high[0])
    assert low[0] == 0.0


def test_interval_widens_with_extrapolation_and_with_level() -> None:
    found = fit(LAW, GFLOPS, noisy(3))
    targets = np.array([1e12, 1e13, 1e14])

    low, high = found.interval(targets)
    wide_low, wide_high = found.interval(targets, level=0.99)

    assert np.all(np.diff(high - low) > 0)
    assert np.all(wide_high - wide_low > high - low)
    assert np.all((low <= found.predict(targets)) & (found.predict(targets) <= high))


def test_standard_error_is_at_least_the_textbook_one() -> None:
    found: Fit = fit(LAW, GFLOPS, noisy(4))
    targets = np.array([1e9, 4e12])
    x = GFLOPS / found.scale
    jacobian = law_jacobian(found, x)
    covariance = found.sse / (len(x) - 4) * np.linalg.inv(jacobian.T @ jacobian)
    there = law_jacobian(found, targets / found.scale)

    textbook = np.sqrt(np.einsum("tp,pq,tq->t", there, covariance, there))

    assert np.all(found.standard_error(targets) >= textbook * (1 - 1e-6))
    assert np.all(found.standard_error(targets) < 5 * textbook)


def law_jacobian(found: Fit, x: np.ndarray) -> np.ndarray:
    return found.law.jacobian(found.theta[None], x)[0]


def test_student_t_is_the_table() -> None:
    assert student_t(0.95, 20) == pytest.approx(2.086, abs=5e-4)
    assert student_t(0.95, 1) == pytest.approx(12.706, abs=5e-4)


@pytest.mark.parametrize(
    ("gflops", "error", "message"),
    [
        ([1e9, 2e9, 3e9, 4e9], [0.9, 0.8, 0.7, 0.6], "4 points .* at least 5"),
        ([1e9] * 8, np.linspace(0.9, 0.2, 8), "1 points of different compute"),
        (np.geomspace(1e8, 1e11, 8), np.linspace(0.2, 0.9, 8), "does not fall with compute"),
        ([1e9, 2e9, -3e9, 4e9, 5e9], [0.9, 0.8, 0.7, 0.6, 0.5], "compute must be positive"),
        ([1e9, 2e9, 3e9, 4e9, 5e9], [0.9, np.nan, 0.7, 0.6, 0.5], "error must be finite"),
    ],
)
def test_points_that_determine_no_law_are_refused(gflops, error, message) -> None:
    with pytest.raises(FitError, match=message):
        fit(LAW, np.array(gflops), np.array(error))
