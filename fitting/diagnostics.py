"""Lack of fit: whether residuals along a frontier look like independent noise."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fitting.errors import Floats

FEWEST_POINTS = 8
"""Points below which neither test can show anything: eight signs have 2 runs with p = 0.03."""
LAG_1_P_VALUE = 0.08
"""Significance of autocorrelation.

On 24 points whose noise is correlated at 0.5 the tests fire in 0.63 of simulations, under
independent noise in 0.05 to 0.13. No test can do much better: that of Neyman and Pearson, which
knows the 0.5, finds 0.67 at this significance and 0.59 at 0.05, since a fit takes up what is
smooth.
"""
RUNS_P_VALUE = 0.02
"""Significance of too few changes of sign, a test that needs no normal noise and finds less."""
INTEGRATION = np.linspace(-12.0, 12.0, 400)
"""ln of where the integral of Imhof is taken; beyond, it adds less than 1e-4."""


@dataclass(frozen=True)
class Diagnostics:
    """Tests of the residuals by ascending compute; None where there are too few points.

    An interval assumes that points scatter independently around the law. Where they wander around
    it instead, the law is wrong in shape and 95 % intervals of simulations hold 0.7 to 0.8.
    """

    lag_1: float | None
    """Correlation of each residual with the next."""
    lag_1_p: float | None
    """Probability of so much if points scatter independently, given the law that was fitted."""
    runs: int | None
    """Stretches of equal sign."""
    runs_p: float | None
    """Probability of so few runs if signs come in random order (Wald and Wolfowitz 1940)."""

    @property
    def was_tested(self) -> bool:
        """Whether there are enough points to tell."""
        return self.lag_1 is not None

    @property
    def shows_misfit(self) -> bool:
        """Whether a test fires."""
        if self.lag_1_p is None or self.runs_p is None:
            return False
        return self.lag_1_p < LAG_1_P_VALUE or self.runs_p < RUNS_P_VALUE

    def __str__(self) -> str:
        """What the tests found, in words."""
        if self.lag_1 is None or self.lag_1_p is None or self.runs_p is None:
            return f"fewer than {FEWEST_POINTS} points cannot show whether the law fits"
        lag_1 = f"lag-1 correlation {self.lag_1:+.2f} (p = {self.lag_1_p:.1g})"
        runs = f"{self.runs} runs of sign (p = {self.runs_p:.1g})"
        fired = [lag_1] if self.lag_1_p < LAG_1_P_VALUE else []
        fired += [runs] if self.runs_p < RUNS_P_VALUE else []
        return f"residuals have {' and '.join(fired or [lag_1, runs])}"


def diagnose(residuals: Floats, response: Floats) -> Diagnostics:
    """Test standardised residuals (n,) by ascending compute.

    `response` (n, m) says what residuals follow from m independent normal variables, which the
    noise of the points and the truth's distance from the prior are: residuals of a fit are
    correlated even where noise is not.
    """
    if len(residuals) < FEWEST_POINTS or not np.any(residuals):
        return Diagnostics(None, None, None, None)
    lag_1 = float(np.sum(residuals[1:] * residuals[:-1]) / np.sum(residuals**2))
    above = residuals > 0
    runs = 1 + int(np.sum(above[1:] != above[:-1]))
    return Diagnostics(
        lag_1=lag_1,
        lag_1_p=_p_of_lag_1(lag_1, response),
        runs=runs,
        runs_p=_p_of_runs(runs, int(above.sum()), int((~above).sum())),
    )


def _p_of_lag_1(lag_1: float, response: Floats) -> float:
    """Probability of at least `lag_1` in the residuals of a linear fit to independent noise.

    Exact, as of Durbin and Watson 1950: r'Lr / r'r >= lag_1 says that a quadratic form of normal
    variables is positive, whose probability is the integral of Imhof 1961.
    """
    size = len(response)
    neighbours = 0.5 * (np.eye(size, k=1) + np.eye(size, k=-1))
    values = np.linalg.eigvalsh(response.T @ (neighbours - lag_1 * np.eye(size)) @ response)
    at = np.exp(INTEGRATION)[:, None] / np.abs(values).max()
    angle = 0.5 * np.arctan(values * at).sum(axis=1)
    decay = np.exp(-0.25 * np.log1p((values * at) ** 2).sum(axis=1))
    # du / u is the step of ln u.
    integral = np.trapezoid(np.sin(angle) * decay, INTEGRATION)
    return float(np.clip(0.5 + integral / np.pi, 0.0, 1.0))


def _p_of_runs(runs: int, above: int, below: int) -> float:
    """Probability of at most `runs` runs in a random order of signs."""
    if not above or not below:
        return 1.0
    ways = 0
    for count in range(2, runs + 1):
        half, odd = divmod(count, 2)
        if odd:
            ways += comb(above - 1, half) * comb(below - 1, half - 1)
            ways += comb(above - 1, half - 1) * comb(below - 1, half)
        else:
            ways += 2 * comb(above - 1, half - 1) * comb(below - 1, half - 1)
    return ways / comb(above + below, above)
