"""How far the predictions of a fit scatter: noise of the points, and what a prior leaves open.

All to first order around the optimum (delta method), with every point divided by the standard
deviation that its weight says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fitting.objective import SMALLEST

if TYPE_CHECKING:
    from fitting.errors import Floats
    from fitting.prior import Penalty

MOST_LEVERAGE = 0.9
"""Leverage from which a residual is inflated no further.

The law follows such a point wherever it goes, so its residual says nothing of the noise (HC3 would
divide 0 by 0); the model-based variance speaks for it.
"""
KAPPAS = np.linspace(-0.5, 2.5, 61)
"""Powers of the error that the noise may follow: from rising with compute to falling steeply."""
EXPECTED_KAPPA, KAPPA_SD = 0.5, 0.5
"""What is expected of that power before residuals are seen. 26 published frontiers have 0.34,
CLIP's 0.50 and MaMMUT's 0.18."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """A fit as the linear regression that it is near its optimum, n points and p parameters."""

    jacobian: Floats
    """Derivative (n, p) of the residuals by the parameters that are free, standardised."""
    residuals: Floats
    """Standardised residuals (n,)."""
    degrees_of_freedom: int
    penalty: Penalty | None
    """The prior of the free parameters."""

    @property
    def variance(self) -> float:
        """Residual variance of a point of weight 1."""
        return float(np.sum(self.residuals**2) / self.degrees_of_freedom)

    @property
    def _score_variance(self) -> Floats:
        if self.penalty is None:
            return np.zeros(self.jacobian.shape[1])
        return self.penalty.score_variance

    @cached_property
    def _inverse(self) -> Floats:
        """Inverse (p, p) of half the Hessian of the cost."""
        hessian = self.jacobian.T @ self.jacobian
        if self.penalty is not None:
            hessian = hessian + np.diag(self.penalty.precision)
        return np.asarray(np.linalg.pinv(hessian, hermitian=True), dtype=float)

    @cached_property
    def _leverage(self) -> Floats:
        leverage = np.sum((self.jacobian @ self._inverse) * self.jacobian, axis=1)
        return np.asarray(np.minimum(leverage, MOST_LEVERAGE), dtype=float)

    @property
    def response(self) -> Floats:
        """What residuals (n, n + p) follow from noise of the points and from the prior's miss.

        Each column is the response to one independent standard normal variable.
        """
        size, deviation = len(self.residuals), np.sqrt(self.variance)
        reach = self.jacobian @ self._inverse
        of_noise = np.eye(size) - reach @ self.jacobian.T
        return np.hstack([deviation * of_noise, reach * np.sqrt(self._score_variance)])

    def variances(self, gradient: Floats, noise: Floats) -> tuple[Floats, Floats]:
        """Variance (t,) of predictions whose derivatives by the parameters are `gradient` (t, p).

        First that by the noise of the points: the larger of the model-based one, for the variances
        `noise` (n,) of standardised points, and robust HC3 (MacKinnon and White 1985). Second that
        by the prior, for truths drawn from it.
        """
        pull = gradient @ self._inverse
        effect = (pull @ self.jacobian.T) ** 2
        inflated = (self.residuals / (1 - self._leverage)) ** 2
        return np.maximum(effect @ noise, effect @ inflated), pull**2 @ self._score_variance

    def noise(self, error: Floats, weight: Floats) -> Floats:
        """Variance (n,) of standardised points, if it is a power of the predicted `error` (n,).

        The power is the posterior mean over `KAPPAS` for a normal likelihood of the residuals,
        counted by degrees of freedom, and a normal prior. Weights keep the power that they were
        given, so that predictions do not move with it.
        """
        log_error = np.log(np.maximum(error, SMALLEST) / 0.5)
        shape = np.exp(2 * KAPPAS[:, None] * log_error) * weight
        squares = self.residuals**2 / (1 - self._leverage)
        if not np.any(squares):
            return squares
        deviance = np.log((squares / shape).mean(axis=1)) + np.log(shape).mean(axis=1)
        log_density = -0.5 * self.degrees_of_freedom * deviance
        log_density -= 0.5 * ((KAPPAS - EXPECTED_KAPPA) / KAPPA_SD) ** 2
        density = np.exp(log_density - log_density.max())
        kappa = np.sum(density * KAPPAS) / density.sum()
        shape = np.exp(2 * kappa * log_error) * weight
        noise: Floats = shape * np.sum(self.residuals**2 / shape) / self.degrees_of_freedom
        return noise
