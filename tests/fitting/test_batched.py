"""The batched solver against scipy, one data set at a time, to twelve digits."""

import numpy as np
import pytest
from scipy.optimize import curve_fit, least_squares

from fitting.frontier import frontier
from fitting.laws import LAWS
from fitting.objective import Objective
from fitting.search import optimum_of_each

LAW = LAWS["saturating"]
RESAMPLES = 1000


@pytest.fixture(scope="module")
def points(figure_1) -> tuple[np.ndarray, np.ndarray]:
    """CLIP on ImageNet-1k: compute relative to its geometric mean, and error, of 24 points."""
    rows = figure_1[(figure_1["family"] == "clip") & (figure_1["compute_gflops"] <= 1e12)]
    best = frontier("published", rows["compute_gflops"].to_numpy(), rows["error"].to_numpy())
    assert len(best) == 24
    return best.gflops / np.exp(np.mean(np.log(best.gflops))), best.error


def curve(x: np.ndarray, ln_r: float, ln_b: float, ln_alpha: float, floor: float) -> np.ndarray:
    """The law in the solver's coordinates, written anew."""
    return floor + np.exp(ln_r) * ((x + np.exp(ln_b)) / (1 + np.exp(ln_b))) ** -np.exp(ln_alpha)


def cost_of_scipy(points, count: np.ndarray, theta: np.ndarray) -> float:
    """The least weighted sum of squares that scipy finds from near `theta`.

    Entries at a bound stay there: a search without bounds takes the others.
    """
    (x, error), root = points, np.sqrt(count)
    low, high = (end[0] for end in LAW.bounds(x, error[count > 0].min(keepdims=True)))
    free = (theta > low) & (theta < high)

    def residual(part: np.ndarray) -> np.ndarray:
        whole = theta.copy()
        whole[free] = part
        return root * (curve(x, *whole) - error)

    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    found = least_squares(residual, theta[free] + 0.01, method="lm", x_scale="jac", **tight)
    return 2 * float(found.cost)


def test_scipy_started_near_each_optimum_of_a_bootstrap_returns_to_it(points) -> None:
    size = len(points[0])
    draws = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), RESAMPLES)

    found, exists = optimum_of_each(LAW, points, draws.astype(float), Objective())

    assert exists.all()
    assert found.converged.all()
    pairs = zip(draws, found.theta, strict=True)
    theirs = [cost_of_scipy(points, count, theta) for count, theta in pairs]
    np.testing.assert_allclose(found.cost, theirs, rtol=1e-12)


def test_curve_fit_finds_the_parameters_of_the_published_frontier(points) -> None:
    x, error = points
    found, _ = optimum_of_each(LAW, (x, error), np.ones((1, len(x))), Objective())

    theta, _ = curve_fit(
        curve, x, error, p0=found.theta[0] + 0.01, xtol=1e-15, ftol=1e-15, maxfev=100_000
    )

    np.testing.assert_allclose(found.theta[0], theta, rtol=1e-6)
    assert found.cost[0] == pytest.approx(np.sum((curve(x, *theta) - error) ** 2), rel=1e-12)
