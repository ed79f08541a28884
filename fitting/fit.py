"""The fit of one law to one frontier, and the t intervals that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from fitting.descent import Points, Problem
from fitting.diagnostics import Diagnostics, diagnose
from fitting.errors import FitError
from fitting.objective import Objective
from fitting.search import every_optimum, refined
from fitting.uncertainty import Linearised

if TYPE_CHECKING:
    from fitting.descent import Solutions
    from fitting.errors import Floats, Masks
    from fitting.laws import Law

SAME_LOSS = 1e-6
"""Relative difference of costs below which two optima explain the data equally well."""
SAME_CURVE = 1e-3
"""Difference of predicted errors, to 10 times beyond the data, of one and the same optimum."""
SINGULAR = 1e-7
"""Smallest eigenvalue of the correlation of the parameters' effects that still determines all.

The published series lie between 5e-5 and 1e-2; two plateaus without a slope between them at 1e-8.
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
    """A law with the parameters that fit a frontier best under an objective."""

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
    """Sum of squared errors over the fitted points, not weighted."""
    status: FitStatus
    at_bound: tuple[str, ...]
    """Parameters at an end of their range."""
    at_edge: tuple[str, ...] = ()
    """Those of them whose end only limits the search, so that the points do not determine them.

    E = 0 and a B too small to matter are ends of the law itself.
    """
    objective: Objective = field(default_factory=Objective)

    @property
    def parameters(self) -> dict[str, float]:
        """The law's parameters under their published names, compute in GFLOPs."""
        return self.law.published(self.theta, self.scale)

    @property
    def rmse(self) -> float:
        """Root of the mean squared error over the fitted points."""
        return float(np.sqrt(self.sse / len(self.gflops)))

    @property
    def degrees_of_freedom(self) -> int:
        """Points minus parameters; one at a bound is counted, which errs to the wide side."""
        return len(self.gflops) - len(self.theta)

    @cached_property
    def aicc(self) -> float:
        """Akaike's criterion, corrected for few points; lower is better.

        Of the density of the measured errors, normal around the law (log-normal for a loss in
        logarithms) with the variances that the weights say: so fits of the same points by
        different laws, weights and losses can be set side by side. The variance is counted as a
        parameter. Infinite if there are no more than two points more than parameters. Squares
        stand in for a Huber loss; a prior is not counted.
        Source: Hurvich and Tsai 1989.
        """
        size, count = len(self.gflops), len(self.theta) + 1
        if size <= count + 1:
            return float(np.inf)
        weight, residual = self.problem.points.weight[0], self.residuals
        variance = np.sum(weight * residual**2) / size
        jacobian = np.log(self.measured).sum() if self.objective.loss.in_logs else 0.0
        with np.errstate(divide="ignore"):
            deviance = size * (np.log(2 * np.pi * variance) + 1) - np.log(weight).sum()
        penalty = 2 * count + 2 * count * (count + 1) / (size - count - 1)
        return float(deviance + 2 * jacobian + penalty)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Whether the residuals, by ascending compute, look like independent noise."""
        return diagnose(self._linear.residuals, self._linear.response)

    @cached_property
    def problem(self) -> Problem:
        """What the parameters minimise, with the weights of the optimum (one data set)."""
        x = self.gflops[None] / self.scale
        weight = self.objective.precision(self.predict(self.gflops))
        points = Points(x, self.measured[None], weight[None])
        return Problem(self.law, points, self.objective.loss, self.objective.penalty(self.law))

    @property
    def residuals(self) -> Floats:
        """Residual of each point (n,), of errors or of their logarithms as the loss has it."""
        return self.objective.loss.residual(self.predict(self.gflops), self.measured)

    @property
    def is_determined(self) -> bool:
        """Whether the fit has one optimum, so that its predictions mean something."""
        return self.status not in (FitStatus.AMBIGUOUS, FitStatus.NOT_CONVERGED)

    def predict(self, gflops: Floats) -> Floats:
        """Error (t,) at compute `gflops` (t,)."""
        error: Floats = self.law.error(self.theta[None], np.asarray(gflops) / self.scale)[0]
        return error

    def interval(self, gflops: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
        """Low and high end (t,) of the confidence interval of the law itself.

        It says where the frontier lies, not where one new trial will land. Error -+ Student's t of
        `freedom` times `standard_error`; infinite where the data do not determine the law.

        In 600 experiments each of eleven kinds of independent noise it covers the law at 4 times
        the largest compute in 0.92 to 0.99, but for 0.998 where few points get more precise with
        compute (default estimator), nominal 0.95; the reference study's band, which takes the
        logarithm of t, in 0.59 to 0.81. Under noise that wanders it covers 0.78: the law is then
        wrong in shape, which `diagnostics` shows in 0.63 of them. Source:
        `benchmarks/coverage.py`, a part of which `tests/fitting/test_coverage.py` repeats.
        """
        centre = self.predict(gflops)
        quantile = stdtrit(self.freedom(gflops), (1 + level) / 2)
        half = quantile * self.standard_error(gflops)
        return np.maximum(centre - half, 0.0), centre + half

    def new_run_interval(self, gflops: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
        """Low and high end (t,) of the prediction interval of one new point of the frontier.

        Of t(n - p), which is wider than `freedom` would have it: laws are only nearly right, and
        held-out points of the published series need it beyond 8 times the compute.
        """
        centre = self.predict(gflops)
        spread = np.hypot(self.standard_error(gflops), self.scatter(gflops))
        half = student_t(level, self.degrees_of_freedom) * spread
        return np.maximum(centre - half, 0.0), centre + half

    def scatter(self, gflops: Floats) -> Floats:
        """Standard deviation (t,) of single points around the law."""
        predicted = self.predict(gflops)
        spread: Floats = np.sqrt(self.variance / self.objective.precision(predicted))
        return spread / self.objective.loss.slope(predicted)

    @cached_property
    def variance(self) -> float:
        """Residual variance of a point of weight 1."""
        return self._linear.variance

    def standard_error(self, gflops: Floats) -> Floats:
        """Standard error (t,) of the predicted error, by the delta method.

        By the noise of the points the larger of model-based, which is right where noise is a power
        of the error (constant under equal weights), and HC3, which is robust but too small at n
        near 10. Under a prior that of the estimate for truths drawn from the prior: a point
        estimate near the prior's centre does not make the prior true.
        """
        by_noise, by_prior = self._variances(gflops)
        error: Floats = np.sqrt(by_noise + by_prior)
        return error

    def freedom(self, gflops: Floats) -> Floats:
        """Degrees of freedom (t,) of `standard_error`, after Satterthwaite 1946.

        The part by noise is estimated with n - p; that by the prior is known.
        """
        by_noise, by_prior = self._variances(gflops)
        is_known = np.isfinite(by_noise) & (by_noise > 0)
        ratio = np.zeros(len(by_noise))
        # Beyond that Student's t is normal.
        ratio[is_known] = np.minimum(by_prior[is_known] / by_noise[is_known], 1e3)
        freedom: Floats = self.degrees_of_freedom * (1 + ratio) ** 2
        return freedom

    def _variances(self, gflops: Floats) -> tuple[Floats, Floats]:
        """Variance (t,) of the predicted error by the noise of the points and by the prior."""
        if not self.is_determined:
            return np.full(len(gflops), np.inf), np.zeros(len(gflops))
        gradient = self.law.jacobian(self.theta[None], np.asarray(gflops) / self.scale)[0]
        return self._linear.variances(gradient[:, self._is_free], self._noise)

    @cached_property
    def _noise(self) -> Floats:
        """Variance (n,) of the points, relative to what their weights say."""
        if not self.objective.kappa:
            return np.full(len(self.gflops), self.variance)
        return self._linear.noise(self.predict(self.gflops), self.problem.points.weight[0])

    @cached_property
    def _is_free(self) -> Masks:
        held = set(self.at_bound) - set(self.at_edge)
        return np.array([name not in held for name in self.law.parameters])

    @cached_property
    def _linear(self) -> Linearised:
        free, problem = self._is_free, self.problem
        slope = self.objective.loss.slope(self.predict(self.gflops))
        jacobian = self.law.jacobian(self.theta[None], problem.points.x[0])[0][:, free]
        root = np.sqrt(problem.points.weight[0])
        return Linearised(
            jacobian * (root * slope)[:, None],
            root * self.residuals,
            self.degrees_of_freedom,
            None if problem.penalty is None else problem.penalty.of(free),
        )


def fit(law: Law, gflops: Floats, error: Floats, objective: Objective | None = None) -> Fit:
    """Fit `law` to points `gflops` (n,), `error` (n,); their order and unit do not matter.

    Without an objective by least squares of the raw error.
    Raises `FitError` if the points cannot determine the law or their error rises with compute.
    """
    objective = (objective or Objective()).of(law)
    _check(law, gflops, error, objective)
    order = np.lexsort((error, gflops))
    gflops, error = gflops[order], error[order]
    scale = float(np.exp(np.mean(np.log(gflops))))
    x = gflops / scale
    problem, first = every_optimum(law, x, error, objective)
    if not len(first.cost):
        raise FitError(
            f"the error does not fall with compute over {len(x)} points from {gflops[0]:.3g} to "
            f"{gflops[-1]:.3g} GFLOPs ({error[0]:.4g} to {error[-1]:.4g})"
        )
    best = first.take(np.array([first.cost.argmin()]))
    found = refined(problem, objective, best, x_range=x)
    theta = found.theta[0]
    at_bound, at_edge = _ends(law, theta, x, error)
    free = np.array([name not in at_bound or name in at_edge for name in law.parameters])
    converged = bool(found.converged[0])
    ambiguous = _has_rivals(law, first, x) or _is_singular(problem, theta, free)
    return Fit(
        law=law,
        theta=theta,
        scale=scale,
        gflops=gflops,
        measured=error,
        sse=float(np.sum((law.error(theta[None], x)[0] - error) ** 2)),
        status=_status(ambiguous=ambiguous, converged=converged, at_bound=at_bound),
        at_bound=at_bound,
        at_edge=at_edge,
        objective=objective,
    )


def student_t(level: float, degrees_of_freedom: float) -> float:
    """Two-sided quantile of Student's t distribution."""
    return float(stdtrit(degrees_of_freedom, (1 + level) / 2))


def _check(law: Law, gflops: Floats, error: Floats, objective: Objective) -> None:
    if not (np.all(np.isfinite(gflops)) and np.all(gflops > 0)):
        raise FitError("compute must be positive and finite at every point")
    if not np.all(np.isfinite(error)):
        raise FitError("error must be finite at every point")
    if objective.loss.in_logs and error.min() <= 0:
        raise FitError(f"an error of {error.min():g} has no logarithm, which the loss takes")
    needed, different = len(law.parameters) + 1, len(np.unique(gflops))
    if different < needed:
        raise FitError(
            f"{different} points of different compute cannot determine the "
            f"{len(law.parameters)} parameters of the {law.name} law; at least {needed} are needed"
        )


def _ends(
    law: Law, theta: Floats, x: Floats, error: Floats
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Parameters at an end of their range, and those of them at an end of the search only."""
    low, high = law.bounds(x, error.min(keepdims=True))
    is_low, is_high = theta - low[0] < 1e-6, high[0] - theta < 1e-6
    names = np.array(law.parameters)
    at_edge = is_high | (is_low & (names == "alpha"))
    return tuple(names[is_low | is_high].tolist()), tuple(names[at_edge].tolist())


def _has_rivals(law: Law, found: Solutions, x: Floats) -> bool:
    """Whether optima of the same cost predict different errors."""
    equals = found.theta[found.cost <= found.cost.min() * (1 + SAME_LOSS)]
    curves = law.error(equals, np.append(x, 10 * x.max()))
    return bool(np.ptp(curves, axis=0).max() > SAME_CURVE)


def _is_singular(problem: Problem, theta: Floats, free: Masks) -> bool:
    """Whether points and prior do not tell the effects of the free parameters apart."""
    if not free.any():
        return False
    _, hessian = problem.slopes(theta[None])
    own = hessian[0][np.ix_(free, free)]
    norms = np.sqrt(np.maximum(np.diag(own), 0.0))
    norms = np.where(norms > 0, norms, 1.0)
    return bool(np.linalg.eigvalsh(own / np.outer(norms, norms))[0] < SINGULAR)


def _status(*, ambiguous: bool, converged: bool, at_bound: tuple[str, ...]) -> FitStatus:
    if ambiguous:
        return FitStatus.AMBIGUOUS
    if not converged:
        return FitStatus.NOT_CONVERGED
    return FitStatus.AT_BOUND if at_bound else FitStatus.CONVERGED
