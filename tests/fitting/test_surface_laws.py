"""The contract of laws of two variables; a law is tested by standing in `SURFACE_LAWS`."""

import numpy as np
import pytest

from fitting.surfaces import SURFACE_LAWS, Chinchilla, SaturatingSurface, SurfaceLaw
from fitting.surfaces.law import Relative, Scales

SCALES = Scales(40.0, 1e8)
PARAMETERS = {
    "chinchilla": {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
    "saturating": {"E": 0.11, "e0": 0.99, "Gh": 5.5, "p": 0.7, "D0": 3e7, "b": 0.67},
}
AT = Relative(np.geomspace(0.1, 10, 12), np.geomspace(30, 0.01, 12))


@pytest.fixture(params=[*SURFACE_LAWS.values(), SaturatingSurface(chance=0.999)], ids=repr)
def law(request: pytest.FixtureRequest) -> SurfaceLaw:
    return request.param


@pytest.fixture
def theta(law: SurfaceLaw) -> np.ndarray:
    centre = law.from_parameters(PARAMETERS[law.name], SCALES)
    return centre + 0.05 * np.abs(centre) * np.random.default_rng(0).standard_normal((3, 1))


def test_jacobian_is_the_complex_step_derivative(law: SurfaceLaw, theta: np.ndarray) -> None:
    jacobian = law.jacobian(theta, AT)

    assert jacobian.shape == (3, 12, len(law.parameters))
    for place in range(theta.shape[1]):
        shifted = theta.astype(complex)
        shifted[:, place] += 1e-30j
        derivative = np.imag(law.error(shifted, AT)) / 1e-30
        np.testing.assert_allclose(jacobian[..., place], derivative, rtol=1e-10, atol=1e-14)


def test_parameters_and_theta_are_inverse(law: SurfaceLaw, theta: np.ndarray) -> None:
    for one in theta:
        again = law.from_parameters(law.to_parameters(one, SCALES), SCALES)

        np.testing.assert_allclose(again, one, rtol=1e-12)


def test_parameters_mean_the_same_in_any_reference(law: SurfaceLaw) -> None:
    size, samples = np.array([6.0, 90.0, 400.0]), np.array([1e6, 1e8, 1e10])
    elsewhere = Scales(7.0, 3e9)
    parameters = PARAMETERS[law.name]

    here, there = (
        law.error(
            law.from_parameters(parameters, scales)[None],
            Relative(size / scales.size, samples / scales.samples),
        )
        for scales in (SCALES, elsewhere)
    )

    np.testing.assert_allclose(here, there, rtol=1e-10)


def test_basis_and_coefficients_make_up_the_law(law: SurfaceLaw) -> None:
    nodes = law.nodes(AT, 3)
    basis = law.basis(nodes, AT)
    coefficients = np.random.default_rng(0).uniform(0.1, 1, (len(nodes), len(basis.columns)))

    theta = law.assemble(nodes, coefficients)

    linear = basis.offset + sum(
        coefficients[:, [i]] * column for i, column in enumerate(basis.columns)
    )
    np.testing.assert_allclose(law.error(theta, AT), linear, rtol=1e-12)


def test_error_falls_with_size_and_with_samples(law: SurfaceLaw) -> None:
    theta = law.from_parameters(PARAMETERS[law.name], SCALES)[None]
    grid = np.geomspace(1e-3, 1e3, 40)

    assert np.all(np.diff(law.error(theta, Relative(grid, np.ones(40)))) < 0)
    assert np.all(np.diff(law.error(theta, Relative(np.ones(40), grid))) < 0)


def test_truth_lies_within_the_bounds_of_its_own_cells(law: SurfaceLaw) -> None:
    theta = law.from_parameters(PARAMETERS[law.name] | {"e0": 0.999}, SCALES)

    low, high = law.bounds(AT, law.error(theta[None], AT)[0])

    assert np.all((low <= theta) & (theta <= high))


def test_published_parameters_give_the_published_formula() -> None:
    parameters = PARAMETERS["chinchilla"]
    theta = Chinchilla().from_parameters(parameters, Scales(1e9, 1e10))

    error = Chinchilla().error(theta[None], Relative(np.array([70.0]), np.array([140.0])))

    expected = 1.8172 + 482.01 / 70e9**0.3478 + 2085.43 / 1.4e12**0.3658
    assert error[0, 0] == pytest.approx(expected, rel=1e-12)


def test_saturating_surface_is_at_chance_without_samples_and_at_its_floor_with_everything() -> (
    None
):
    law = SaturatingSurface()
    theta = law.from_parameters(PARAMETERS["saturating"], SCALES)[None]

    nothing, everything = (
        law.error(theta, Relative(np.array([share]), np.array([share])))[0, 0]
        for share in (1e-12, 1e12)
    )

    assert nothing == pytest.approx(0.99, abs=1e-6)
    assert everything == pytest.approx(0.11, abs=1e-6)
