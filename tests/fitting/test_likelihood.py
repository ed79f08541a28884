"""Profile likelihood intervals."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fitting.fit import fit, student_t
from fitting.laws import LAWS
from fitting.likelihood import profile_interval
from fitting.objective import Objective
from fitting.prior import WEAK

GFLOPS = np.geomspace(7e6, 5e11, 24)
TRUTH = 58.8 * (GFLOPS + np.exp(18.41)) ** -0.2273 + 0.1116
TARGET = 4 * GFLOPS[-1:]


def noisy(seed: int, sd: float = 0.01) -> np.ndarray:
    return TRUTH + sd * np.random.default_rng(seed).standard_normal(24)


@pytest.mark.parametrize("objective", [Objective(), Objective(kappa=0.5, prior=WEAK)])
@pytest.mark.parametrize("seed", range(3))
def test_the_cheapest_law_through_an_end_exceeds_the_optimum_by_f(objective, seed: int) -> None:
    """A penalised search that shares none of the continuation."""
    found = fit(LAWS["anchored"], GFLOPS, noisy(seed), objective)
    ends = profile_interval(found, TARGET)
    x, target = found.problem.points.x[0], TARGET / found.scale
    low, high = found.law.bounds(x, found.problem.points.lowest())
    optimum = found.problem.cost(found.theta[None])[0]
    allowed = student_t(0.95, found.degrees_of_freedom) ** 2 * found.variance

    for (end,) in ends:
        best = np.inf
        for start in np.random.default_rng(0).normal(0, 0.3, (12, 3)) * [1, 0.5, 0.1]:

            def cost(theta: np.ndarray, end: float = end) -> float:
                inside = np.clip(theta, low[0], high[0])[None]
                miss = found.law.error(inside, target)[0, 0] - end
                return float(found.problem.cost(inside)[0] + 1e4 * miss**2)

            one = minimize(
                cost,
                found.theta + start,
                method="Nelder-Mead",
                options={"xatol": 1e-8, "fatol": 1e-14, "maxiter": 3000},
            )
            best = min(best, one.fun)
        assert best - optimum == pytest.approx(allowed, rel=0.05)


def test_profile_and_t_agree_where_the_law_is_nearly_linear() -> None:
    found = fit(LAWS["saturating"], GFLOPS, noisy(0, sd=1e-4))
    inside = np.array([1e10])

    profile = profile_interval(found, inside)
    jacobian = found.law.jacobian(found.theta[None], found.gflops / found.scale)[0]
    at = found.law.jacobian(found.theta[None], inside / found.scale)[0]
    spread = np.sqrt(found.variance * at @ np.linalg.inv(jacobian.T @ jacobian) @ at.T)[0]
    half = student_t(0.95, found.degrees_of_freedom) * spread
    covariance_only = found.predict(inside) + np.array([[-1], [1]]) * half

    np.testing.assert_allclose(profile, covariance_only, rtol=2e-4)


def test_profile_widens_with_level_and_with_extrapolation() -> None:
    found = fit(LAWS["saturating"], GFLOPS, noisy(1))
    targets = np.array([1e12, 1e13, 1e14])

    low, high = profile_interval(found, targets)
    wide_low, wide_high = profile_interval(found, targets, level=0.99)

    assert np.all(np.diff(high - low) > 0)
    assert np.all(wide_low <= low)
    assert np.all(high <= wide_high)
    assert np.all((low < found.predict(targets)) & (found.predict(targets) < high))


def test_profile_knows_that_a_floor_is_not_negative() -> None:
    error = 60 * (GFLOPS + 1e8) ** -0.2 + 0.004 * np.random.default_rng(4).standard_normal(24)
    found = fit(LAWS["saturating"], GFLOPS, error)

    low, high = profile_interval(found, TARGET)

    assert 0 <= low[0] < found.predict(TARGET)[0] < high[0]
