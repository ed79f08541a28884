"""What the linearised fit says of scatter, against regressions that are simulated."""

import numpy as np
import pytest

from fitting import LAWS, Options
from fitting.fit import fit
from fitting.objective import Objective
from fitting.prior import WEAK, Normal, Penalty
from fitting.uncertainty import Linearised

SIZE, SD, NOISE = 12, 0.02, 0.03
JACOBIAN = np.vander(np.linspace(-1, 1, SIZE), 3)
PRECISION = np.array([4.0, 1.0, 0.0])
DRAWS = 20_000
AHEAD = np.array([[4.0, 2.0, 1.0]])


@pytest.fixture(scope="module")
def regressions() -> tuple[np.ndarray, np.ndarray]:
    """Residuals (draws, n) and misses ahead (draws,) of ridge regressions.

    Truths come from the prior that the penalty stands for, the noise of points is not the one
    that the penalty assumes.
    """
    rng = np.random.default_rng(0)
    known = PRECISION > 0
    truth = rng.standard_normal((DRAWS, 3))
    truth[:, known] *= NOISE / np.sqrt(PRECISION[known])
    measured = truth @ JACOBIAN.T + SD * rng.standard_normal((DRAWS, SIZE))
    hessian = JACOBIAN.T @ JACOBIAN + np.diag(PRECISION)
    found = measured @ JACOBIAN @ np.linalg.inv(hessian)
    return found @ JACOBIAN.T - measured, ((found - truth) @ AHEAD.T)[:, 0]


def linearised(residuals: np.ndarray) -> Linearised:
    return Linearised(JACOBIAN, residuals, SIZE - 3, Penalty(np.zeros(3), PRECISION, NOISE))


def test_response_is_the_covariance_of_residuals(regressions) -> None:
    residuals, _ = regressions
    # Only the size of these matters: residual variance SD^2.
    found = linearised(np.full(SIZE, SD * np.sqrt((SIZE - 3) / SIZE)))

    np.testing.assert_allclose(
        found.response @ found.response.T, residuals.T @ residuals / DRAWS, atol=0.05 * SD**2
    )


def test_variances_are_those_of_the_misses(regressions) -> None:
    _, misses = regressions
    found = linearised(np.zeros(SIZE))

    by_noise, by_prior = found.variances(AHEAD, np.full(SIZE, SD**2))

    assert (by_noise + by_prior)[0] == pytest.approx(np.mean(misses**2), rel=0.04)


@pytest.mark.parametrize("kappa", [0.0, 0.5, 1.2])
def test_the_power_of_the_noise_is_found_with_many_points(kappa: float) -> None:
    rng = np.random.default_rng(3)
    error = np.geomspace(0.9, 0.2, 2000)
    variance = (0.01 * error**kappa) ** 2
    many = Linearised(
        np.ones((2000, 1)), np.sqrt(variance) * rng.standard_normal(2000), 1999, None
    )

    noise = many.noise(error, np.ones(2000))

    np.testing.assert_allclose(noise, variance, rtol=0.15)


def test_few_points_leave_the_power_where_it_is_expected() -> None:
    rng = np.random.default_rng(4)
    error = np.linspace(0.9, 0.6, 8)
    few = Linearised(np.ones((8, 1)), 0.01 * rng.standard_normal(8), 7, None)

    noise = few.noise(error, 1 / error)

    assert noise.max() / noise.min() < 1.3


def test_a_perfect_fit_has_no_noise() -> None:
    gflops = np.geomspace(1e7, 1e11, 12)
    error = 0.1 + 0.9 * (1 + gflops / 1e8) ** -0.2
    perfect = fit(LAWS["anchored"], gflops, error, Objective(kappa=0.5))

    low, high = perfect.interval(np.array([1e12]))

    np.testing.assert_allclose(high - low, 0.0, atol=1e-6)


def test_prior_counts_as_known_in_degrees_of_freedom() -> None:
    gflops = np.geomspace(1e7, 1e10, 8)
    error = 0.1 + 0.9 * (1 + gflops / 1e8) ** -0.2
    error += 0.004 * np.random.default_rng(5).standard_normal(8)
    ahead = np.array([1e9, 1e12])

    with_prior = fit(LAWS["anchored"], gflops, error, Options().estimator.objective)
    without = fit(LAWS["anchored"], gflops, error, Objective())

    np.testing.assert_allclose(without.freedom(ahead), 5)
    assert np.all(with_prior.freedom(ahead) > 5)
    assert np.diff(with_prior.freedom(ahead)) > 0


def test_a_prior_cut_off_at_0_is_narrower() -> None:
    drawn = np.random.default_rng(6).normal(*WEAK.floor, size=200_000)
    misses = drawn[drawn > 0] - WEAK.floor.mean

    assert WEAK.floor.variance_if_positive == pytest.approx(
        np.mean(misses**2) / WEAK.floor.sd**2, rel=0.01
    )
    assert Normal(5.0, 0.5).variance_if_positive == pytest.approx(1.0)
