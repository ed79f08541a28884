"""Gradients of what is minimised: every law and surface under every loss, with and without prior.

The Jacobians themselves are checked in `test_laws.py` and `test_surface_laws.py`.
"""

from collections.abc import Callable

import numpy as np
import pytest

from fitting.descent import Points, Problem
from fitting.laws import LAWS, Law
from fitting.loss import LEAST_SQUARES, LOG_LEAST_SQUARES, Loss
from fitting.prior import PRIORS, Penalty
from fitting.surfaces import SURFACE_LAWS, WEAK_PRIOR, SaturatingSurface, SurfaceLaw
from fitting.surfaces.descent import Problem as SurfaceProblem
from fitting.surfaces.law import Relative

LOSSES = (LEAST_SQUARES, LOG_LEAST_SQUARES, Loss(delta=0.05), Loss(in_logs=True, delta=0.1))
"""Deltas at which some residuals of the points below lie on either side."""
X = np.geomspace(2e-3, 3e2, 25)
AT = Relative(np.geomspace(0.1, 10, 25), np.geomspace(30, 0.01, 25)[np.argsort(np.sin(range(25)))])
STEP = 1e-6


def inside(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """30 parameter vectors between bounds, of which open ones count as 3."""
    low, high = np.maximum(low, -3.0), np.minimum(high, 3.0)
    return low + (high - low) * np.random.default_rng(1).uniform(0.1, 0.9, size=(30, len(low)))


def differences(cost: Callable[[np.ndarray], np.ndarray], theta: np.ndarray) -> np.ndarray:
    """The gradient of `cost` by central differences, (b, p)."""
    shifts = STEP * np.eye(theta.shape[1])
    return np.stack([(cost(theta + s) - cost(theta - s)) / (2 * STEP) for s in shifts], axis=1)


def agree(gradient: np.ndarray, differences: np.ndarray) -> None:
    scale = np.abs(differences).max(axis=1, keepdims=True)
    assert np.max(np.abs(gradient - differences) / scale) < 1e-6


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("law", [*LAWS.values(), LAWS["anchored"].anchored_at(0.9)], ids=repr)
def test_gradient_of_a_law_is_that_of_its_cost(law: Law, loss: Loss, prior: str) -> None:
    rng = np.random.default_rng(2)
    low, high = law.bounds(X, np.array([0.3]))
    theta = inside(low[0], high[0])
    error = rng.uniform(0.3, 1.0, size=(len(theta), len(X)))
    points = Points(np.tile(X, (len(theta), 1)), error, rng.uniform(0, 3, size=error.shape))
    given = PRIORS[prior]
    penalty = None if given is None else given.penalty(law, in_logs=loss.in_logs)
    problem = Problem(law, points, loss, penalty)

    gradient, hessian = problem.slopes(theta)

    agree(2 * gradient, differences(problem.cost, theta))
    assert np.all(np.linalg.eigvalsh(hessian) > -1e-9 * np.abs(hessian).max())


@pytest.mark.parametrize("with_prior", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize(
    "law", [*SURFACE_LAWS.values(), SaturatingSurface(chance=0.999)], ids=repr
)
def test_gradient_of_a_surface_is_that_of_its_cost(
    law: SurfaceLaw, loss: Loss, with_prior: bool
) -> None:
    rng = np.random.default_rng(3)
    error = rng.uniform(0.3, 1.0, len(X))
    low, high = law.bounds(AT, error)
    theta = inside(low, high)
    penalty = Penalty(rng.uniform(0, 1, len(low)), rng.uniform(0, 0.1, len(low)), 0.01)
    if with_prior and isinstance(law, SaturatingSurface):
        penalty = WEAK_PRIOR
    weight = rng.uniform(0, 3, size=(len(theta), len(error)))
    problem = SurfaceProblem(law, AT, error, weight, loss, penalty if with_prior else None)

    gradient, hessian = problem.slopes(theta)

    agree(2 * gradient, differences(problem.cost, theta))
    assert np.all(np.linalg.eigvalsh(hessian) > -1e-9 * np.abs(hessian).max())


@pytest.mark.parametrize("law", SURFACE_LAWS.values(), ids=repr)
def test_jacobian_of_a_surface_holds_everywhere_in_its_bounds(law: SurfaceLaw) -> None:
    theta = inside(*law.bounds(AT, np.array([0.3, 0.9])))

    jacobian = law.jacobian(theta, AT)

    for place in range(theta.shape[1]):
        shifted = theta.astype(complex)
        shifted[:, place] += 1e-30j
        slope = np.imag(law.error(shifted, AT)) / 1e-30
        np.testing.assert_allclose(jacobian[..., place], slope, rtol=1e-9, atol=1e-13)
