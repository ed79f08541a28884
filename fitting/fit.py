"""The least-squares fit of one law to one frontier, and the intervals that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from fitting.descent import Points, descend
from fitting.errors import FitError
from fitting.projection import every_start

if TYPE_CHECKING:
    from fitting.descent import Solutions
    from fitting.errors import Floats, Masks
    from fitting.laws import Law

SAME_LOSS = 1e-6
"""Relative difference of squared errors below which two optima explain the data equally well."""
SAME_CURVE = 1e-3
"""Difference of predicted errors, to 10 times beyond the data, of one and the same optimum."""
SINGULAR = 1e-7
"""Smallest eigenvalue of the correlation of the parameters' effects that still determines all.

The published series lie between 5e-5 and 1e-2; two plateaus without a slope between them at 1e-8.
"""
MOST_LEVERAGE = 0.9
"""Leverage from which a residual is inflated no further.

The law follows such a point wherever it goes, so its residual says nothing of the noise (HC3 would
divide 0 by 0); the model-based variance speaks for it.
"""


class FitStatus(StrEnum):
    """How far the optimum can be trusted; the worst that applies."""

    CONVERGED = "converged"
    AT_BOUND = "at_bound"
    """A parameter lies at the end of its range, such as E = 0: its uncertainty is not counted."""
    AMBIGUOUS = "ambiguous"
    """Different parameters explain the data equally well, so that predictions have no interval."""
    NOT_CONVERGED = "not_converged"
    """The search stopped before the optimum."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A law with the parameters that fit a frontier best, by least squares of the raw error."""

    law: Law
    theta: Floats
    """(p,), see `Law`."""
    scale: float
    """Reference compute in GFLOPs: the geometric mean of the points."""
    gflops: Floats
    """Compute of the fitted points (n,)."""
    measured: Floats
    """Error of the fitted points (n,), a fraction."""
    sse: float
    status: FitStatus
    at_bound: tuple[str, ...]
    """Parameters at an end of their range."""

    @property
    def parameters(self) -> dict[str, float]:
        """The law's parameters under their published names, compute in GFLOPs."""
        return self.law.to_parameters(self.theta, self.scale)

    @property
    def rmse(self) -> float:
        """Root of the mean squared error over the fitted points."""
        return float(np.sqrt(self.sse / len(self.gflops)))

    @property
    def degrees_of_freedom(self) -> int:
        """Points minus parameters; one at a bound is counted, which errs to the wide side."""
        return len(self.gflops) - len(self.theta)

    def predict(self, gflops: Floats) -> Floats:
        """Error (t,) at compute `gflops` (t,)."""
        error: Floats = self.law.error(self.theta[None], np.asarray(gflops) / self.scale)[0]
        return error

    def interval(self, gflops: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
        """Low and high end (t,) of the confidence interval of the law itself.

        It says where the frontier lies, not where one new trial will land. Error -+ t(n - p) times
        `standard_error`; infinite where the data do not determine the law.

        Measured at 4 times the largest compute, nominal 0.95: over twelve simulations of
        independent noise on 10 to 26 frontier points (600 experiments each) it covers 0.92 to
        1.00, the reference study's band, which takes the logarithm of t, 0.52 to 0.78. Where whole
        grids of cells are simulated it covers 0.90 to 1.00 on binned frontiers, percentiles of the
        refits 0.85 to 0.99. None holds if the law is wrong: 0.80 under smooth lack of fit.
        `tests/fitting/test_coverage.py` repeats a part of this.
        """
        centre = self.predict(gflops)
        half = student_t(level, self.degrees_of_freedom) * self.standard_error(gflops)
        return np.maximum(centre - half, 0.0), centre + half

    def standard_error(self, gflops: Floats) -> Floats:
        """Standard error (t,) of the predicted error: the larger of model-based and HC3.

        Delta method. The model-based variance is right under equal noise and robust HC3 (MacKinnon
        and White 1985) under noise that changes with compute; HC3 alone is too small at n near 10.
        """
        if self.status in (FitStatus.AMBIGUOUS, FitStatus.NOT_CONVERGED):
            return np.full(len(gflops), np.inf)
        jacobian = self.law.jacobian(self.theta[None], np.asarray(gflops) / self.scale)[0]
        jacobian = jacobian[:, self._is_free]
        variances = [
            np.sum((jacobian @ matrix) * jacobian, axis=1) for matrix in self._covariances
        ]
        largest: Floats = np.max(variances, axis=0)
        return np.sqrt(largest)

    @cached_property
    def _is_free(self) -> Masks:
        return np.array([name not in self.at_bound for name in self.law.parameters])

    @cached_property
    def _covariances(self) -> tuple[Floats, Floats]:
        """Covariance of the free entries of theta: model-based and HC3."""
        x = self.gflops / self.scale
        jacobian = self.law.jacobian(self.theta[None], x)[0][:, self._is_free]
        inverse = np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
        residual = self.measured - self.predict(self.gflops)
        leverage = np.sum((jacobian @ inverse) * jacobian, axis=1)
        inflated = residual / (1 - np.minimum(leverage, MOST_LEVERAGE))
        scaled = jacobian * inflated[:, None]
        model_based = self.sse / self.degrees_of_freedom * inverse
        return model_based, inverse @ (scaled.T @ scaled) @ inverse


def fit(law: Law, gflops: Floats, error: Floats) -> Fit:
    """Fit `law` to points `gflops` (n,), `error` (n,); their order and unit do not matter.

    Raises `FitError` if the points cannot determine the law or their error rises with compute.
    """
    _check(law, gflops, error)
    order = np.lexsort((error, gflops))
    gflops, error = gflops[order], error[order]
    scale = float(np.exp(np.mean(np.log(gflops))))
    x = gflops / scale
    starts = every_start(law, x, error, np.ones((1, len(x))))
    if not len(starts):
        raise FitError(
            f"the error does not fall with compute over {len(x)} points from {gflops[0]:.3g} to "
            f"{gflops[-1]:.3g} GFLOPs ({error[0]:.4g} to {error[-1]:.4g})"
        )
    shape = (len(starts), len(x))
    points = Points(np.broadcast_to(x, shape), np.broadcast_to(error, shape), np.ones(shape))
    found = descend(law, points, starts, x_range=x)
    best = int(found.sse.argmin())
    at_bound = _at_bound(law, found.theta[best], x, error)
    return Fit(
        law=law,
        theta=found.theta[best],
        scale=scale,
        gflops=gflops,
        measured=error,
        sse=float(found.sse[best]),
        status=_status(law, found, x, at_bound),
        at_bound=at_bound,
    )


def student_t(level: float, degrees_of_freedom: float) -> float:
    """Two-sided quantile of Student's t distribution."""
    return float(stdtrit(degrees_of_freedom, (1 + level) / 2))


def _check(law: Law, gflops: Floats, error: Floats) -> None:
    if not (np.all(np.isfinite(gflops)) and np.all(gflops > 0)):
        raise FitError("compute must be positive and finite at every point")
    if not np.all(np.isfinite(error)):
        raise FitError("error must be finite at every point")
    needed, different = len(law.parameters) + 1, len(np.unique(gflops))
    if different < needed:
        raise FitError(
            f"{different} points of different compute cannot determine the "
            f"{len(law.parameters)} parameters of the {law.name} law; at least {needed} are needed"
        )


def _at_bound(law: Law, theta: Floats, x: Floats, error: Floats) -> tuple[str, ...]:
    low, high = law.bounds(x, error.min(keepdims=True))
    near = (theta - low[0] < 1e-6) | (high[0] - theta < 1e-6)
    return tuple(name for name, is_near in zip(law.parameters, near, strict=True) if is_near)


def _status(law: Law, found: Solutions, x: Floats, at_bound: tuple[str, ...]) -> FitStatus:
    best = int(found.sse.argmin())
    equals = found.theta[found.sse <= found.sse[best] * (1 + SAME_LOSS)]
    wide = np.append(x, 10 * x.max())
    curves = law.error(equals, wide)
    jacobian = law.jacobian(found.theta[best : best + 1], x)[0]
    free = np.array([name not in at_bound for name in law.parameters])
    norms = np.linalg.norm(jacobian[:, free], axis=0)
    effects = jacobian[:, free] / np.where(norms > 0, norms, 1.0)
    undetermined = np.linalg.eigvalsh(effects.T @ effects)[0] < SINGULAR
    if undetermined or np.ptp(curves, axis=0).max() > SAME_CURVE:
        return FitStatus.AMBIGUOUS
    if not found.converged[best]:
        return FitStatus.NOT_CONVERGED
    return FitStatus.AT_BOUND if at_bound else FitStatus.CONVERGED
