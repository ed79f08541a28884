"""Whether wandering residuals withdraw the claim, and independent ones do not."""

import numpy as np
import pandas as pd
import pytest

from fitting import Options, analyse
from fitting.diagnostics import _p_of_runs, diagnose

SIZE = 24
JACOBIAN = np.vander(np.linspace(-1, 1, SIZE), 3)
PROJECTION = np.eye(SIZE) - JACOBIAN @ np.linalg.pinv(JACOBIAN)


def residuals(rng: np.random.Generator, rho: float = 0.0) -> np.ndarray:
    """Residuals of a quadratic fitted to noise whose neighbours correlate at `rho`."""
    noise = rng.standard_normal(SIZE)
    for i in range(1, SIZE):
        noise[i] = rho * noise[i - 1] + np.sqrt(1 - rho**2) * noise[i]
    return PROJECTION @ noise


def test_p_values_of_independent_noise_are_uniform() -> None:
    rng = np.random.default_rng(0)

    p = np.sort([diagnose(residuals(rng), PROJECTION).lag_1_p for _ in range(600)])

    assert np.max(np.abs(p - np.linspace(0, 1, 600))) < 1.6 / np.sqrt(600)


def test_wandering_residuals_are_flagged_more_often_than_not() -> None:
    rng = np.random.default_rng(1)

    fired = [diagnose(residuals(rng, 0.5), PROJECTION).shows_misfit for _ in range(300)]

    assert np.mean(fired) > 0.5


def test_the_sign_of_residuals_does_not_matter() -> None:
    one = residuals(np.random.default_rng(2))

    assert diagnose(one, PROJECTION) == diagnose(-one, PROJECTION)


@pytest.mark.parametrize(
    ("runs", "above", "below", "p"),
    [(2, 4, 4, 2 / 70), (8, 4, 4, 1.0), (3, 5, 2, 7 / 21), (1, 5, 0, 1.0)],
)
def test_p_of_runs_is_the_count_of_orders(runs, above, below, p) -> None:
    assert _p_of_runs(runs, above, below) == pytest.approx(p)


def test_few_points_cannot_be_tested() -> None:
    found = diagnose(np.array([1.0, -1.0] * 3), np.eye(6))

    assert not found.was_tested
    assert not found.shows_misfit


def test_a_law_of_the_wrong_shape_is_doubted_in_fit_and_verdict(simulate) -> None:
    """A bump along the frontier that no law of the family has."""
    bent = simulate("bent", noise=0.001, sizes=12, lengths=11)
    wave = 0.03 * np.sin(1.2 * np.log(bent["compute_gflops"]))
    bent = bent.assign(error=(bent["error"] + wave).clip(0, 1))
    straight = simulate("straight", noise=0.004, sizes=12, lengths=11, seed=2)
    points = pd.concat([bent, straight], ignore_index=True)

    analysis = analyse(points, Options(refits=100), compare=["bent", "straight"])

    by_family = {entry["family"]: entry for entry in analysis.to_json()["fits"]}
    assert by_family["bent"]["diagnostics"]["shows_misfit"]
    assert by_family["bent"]["interval"]["claim"] is None
    assert by_family["bent"]["interval"]["level"] == 0.95
    assert by_family["straight"]["interval"]["claim"] == 0.95
    (comparison,) = analysis.comparisons
    assert len(comparison.caveats) == 1
    assert "no 95 % claim for bent" in comparison.verdict
