"""Contract of every registered law."""

import numpy as np
import pytest

from fitting.errors import FitError
from fitting.laws import LAWS, Law, law_named

SCALE = 3e9
X = np.geomspace(7e6, 1e12, 25) / SCALE


@pytest.fixture(params=sorted(LAWS))
def law(request: pytest.FixtureRequest) -> Law:
    return LAWS[request.param]


@pytest.fixture
def thetas(law: Law) -> np.ndarray:
    """Parameter vectors inside the bounds, among them one near an end of each range."""
    rng = np.random.default_rng(1)
    low, high = law.bounds(X, np.array([0.3]))
    low, high = np.maximum(low[0], -3.0), np.minimum(high[0], 3.0)
    return low + (high - low) * rng.uniform(0.02, 0.98, size=(40, len(low)))


def test_jacobian_is_the_complex_step_derivative(law: Law, thetas: np.ndarray) -> None:
    jacobian = law.jacobian(thetas, X)

    assert jacobian.shape == (len(thetas), len(X), len(law.parameters))
    for i in range(thetas.shape[1]):
        shifted = thetas.astype(complex)
        shifted[:, i] += 1e-30j
        slope = np.imag(law.error(shifted, X)) / 1e-30
        np.testing.assert_allclose(jacobian[..., i], slope, rtol=1e-9, atol=1e-13)


def test_parameters_and_theta_convert_into_each_other(law: Law, thetas: np.ndarray) -> None:
    for theta in thetas:
        there = law.to_parameters(theta, SCALE)

        assert tuple(there) == law.parameters
        np.testing.assert_allclose(law.from_parameters(there, SCALE), theta, rtol=1e-9, atol=1e-9)


def test_columns_times_coefficients_are_the_law(law: Law) -> None:
    nodes = law.nodes(X, 5)
    columns = law.columns(nodes, X)
    coefficients = np.random.default_rng(2).uniform(0.1, 0.9, size=(len(nodes), len(columns)))

    theta = law.assemble(nodes, coefficients)

    offset = law.offset(nodes, X)
    linear = np.zeros((len(nodes), len(X))) if offset is None else offset
    linear = linear + sum(coefficients[:, i : i + 1] * column for i, column in enumerate(columns))
    np.testing.assert_allclose(law.error(theta, X), linear, rtol=1e-12)


def test_grid_spans_the_bounds_of_the_search(law: Law) -> None:
    nodes = law.nodes(X, 5)
    theta = law.assemble(nodes, np.full((len(nodes), len(law.columns(nodes, X))), 0.2))
    low, high = law.bounds(X, np.full(len(nodes), 0.3))

    assert np.all(theta >= low - 1e-12)
    assert np.all(theta <= high + 1e-12)


def test_saturating_law_is_the_published_formula() -> None:
    a, ln_b, alpha, floor = 57.862083, 18.391321, 0.226604, 0.111169
    law = law_named("saturating")
    parameters = {"A": a, "lnB": ln_b, "alpha": alpha, "E": floor}
    gflops = X * SCALE

    predicted = law.error(law.from_parameters(parameters, SCALE)[None], X)[0]

    np.testing.assert_allclose(predicted, a * (gflops + np.exp(ln_b)) ** -alpha + floor)


def test_unknown_law_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FitError, match=r"unknown law 'linear'.*saturating"):
        law_named("linear")
