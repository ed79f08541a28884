"""Bounded Levenberg-Marquardt descent of many robust regressions of one surface at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers, Masks
    from fitting.surfaces.law import Relative, SurfaceLaw

MAX_STEPS = 400
SMALL_DECREASE = 1e-12
"""Relative fall of the objective that the next step promises, below which it is the last."""
FIRST_DAMPING, EASE, STIFFEN, MOST_DAMPING = 1e-3, 0.2, 6.0, 1e12
STIFFEST_OUTLIER = 0.05
"""Least curvature that a residual beyond delta counts with, relative to one within."""


@dataclass(frozen=True)
class Loss:
    """What is minimised: the sum over cells of rho(residual).

    rho(r) = r^2 / 2 up to `delta`, and delta (|r| - delta / 2) beyond (Huber 1964).
    """

    in_logs: bool = False
    """Whether a residual is ln(predicted / measured) rather than predicted - measured."""
    delta: float = np.inf

    def residual(self, predicted: Floats, measured: Floats) -> Floats:
        """The residual of each cell."""
        return np.log(predicted / measured) if self.in_logs else predicted - measured

    def rho(self, residual: Floats) -> Floats:
        """What each residual costs."""
        if self.delta == np.inf:
            return 0.5 * residual**2
        size = np.abs(residual)
        within = np.minimum(size, self.delta)
        return within * (size - 0.5 * within)

    def times(self, factor: float) -> Loss:
        """The same loss with `delta` that many times as large."""
        return Loss(self.in_logs, self.delta * factor)


LEAST_SQUARES = Loss()
LOG_LEAST_SQUARES = Loss(in_logs=True)
LOG_HUBER = Loss(in_logs=True, delta=1e-3)
"""The loss of Hoffmann et al. 2022."""


@dataclass(frozen=True)
class Prior:
    """Independent normal priors on entries of theta, as added squared residuals.

    One (mean, sd) an entry, sd = inf for none; `noise` is the standard deviation of a cell's
    residual, which weighs prior against data. All contestants get the same prior.
    """

    mean: Floats
    sd: Floats
    noise: float

    @property
    def precision(self) -> Floats:
        """Weight of each squared deviation, (p,)."""
        return (self.noise / self.sd) ** 2


@dataclass(frozen=True)
class Problem:
    """b data sets that share their cells and differ in the weight of each, as resamples do."""

    law: SurfaceLaw
    at: Relative
    error: Floats
    """(n,)."""
    weight: Floats
    """(b, n)."""
    loss: Loss
    prior: Prior | None = None

    def objective(self, theta: Floats, rows: Integers) -> Floats:
        """Weighted sum of rho, and of the prior, of theta (b, p)."""
        residual = self.loss.residual(self.law.error(theta, self.at), self.error)
        value: Floats = np.sum(self.weight[rows] * self.loss.rho(residual), axis=1)
        if self.prior is not None:
            value = value + 0.5 * (theta - self.prior.mean) ** 2 @ self.prior.precision
        return value

    def derivatives(self, theta: Floats, rows: Integers) -> tuple[Floats, Floats]:
        """Gradient (b, p) and a positive approximation of the Hessian (b, p, p)."""
        predicted = self.law.error(theta, self.at)
        residual = self.loss.residual(predicted, self.error)
        jacobian = self.law.jacobian(theta, self.at)
        if self.loss.in_logs:
            jacobian = jacobian / predicted[..., None]
        weight, delta = self.weight[rows], self.loss.delta
        pull = weight * np.clip(residual, -delta, delta)
        curvature = weight
        if delta < np.inf:
            shrink = delta / np.maximum(np.abs(residual), delta)
            curvature = weight * np.where(shrink < 1, STIFFEST_OUTLIER * shrink, 1.0)
        transposed = np.swapaxes(jacobian, 1, 2)
        gradient = (transposed @ pull[..., None])[..., 0]
        hessian = transposed @ (jacobian * curvature[..., None])
        if self.prior is not None:
            gradient = gradient + (theta - self.prior.mean) * self.prior.precision
            hessian = hessian + np.diag(self.prior.precision)
        return gradient, hessian


@dataclass(frozen=True)
class Solutions:
    """Optima of b problems."""

    theta: Floats
    """(b, p)."""
    objective: Floats
    """(b,)."""
    converged: Masks
    """(b,)."""


def descend(problem: Problem, theta: Floats) -> Solutions:
    """The bounded optimum reached from each `theta` (b, p).

    A parameter at a bound that the gradient pushes outwards is held for the step. Each data set
    has its own damping and leaves the loop when it is done.
    """
    bounds = problem.law.bounds(problem.at, problem.error)
    theta = np.clip(theta, *bounds)
    value = problem.objective(theta, np.arange(len(theta)))
    damping = np.full(len(theta), FIRST_DAMPING)
    rounding = 1e-26 * np.sum(problem.weight * problem.error**2, axis=1)
    converged = value <= rounding
    active = np.flatnonzero(~converged)
    for _ in range(MAX_STEPS):
        if not len(active):
            break
        step, promised = _step(problem, theta[active], active, damping[active], bounds)
        trial = np.clip(theta[active] + step, *bounds)
        trial_value = problem.objective(trial, active)
        better = trial_value < value[active]
        done = (promised <= SMALL_DECREASE * value[active]) | (trial_value <= rounding[active])
        stuck = damping[active] > MOST_DAMPING
        theta[active[better]], value[active[better]] = trial[better], trial_value[better]
        damping[active] *= np.where(better, EASE, STIFFEN)
        converged[active[done]] = True
        active = active[~(done | stuck)]
    return Solutions(theta, value, converged)


def _step(
    problem: Problem, theta: Floats, rows: Integers, damping: Floats, bounds: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """The damped step (b, p), and the fall of the objective that an undamped one promises (b,)."""
    gradient, hessian = problem.derivatives(theta, rows)
    low, high = bounds
    held = ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0)) | (low == high)
    gradient = np.where(held, 0.0, gradient)
    hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
    diagonal = np.einsum("bii->bi", hessian)
    largest = diagonal.max(axis=1, keepdims=True)
    # A held parameter, or one without effect, gets a pivot of its own and so a step of 0.
    scale = np.maximum(diagonal, 1e-12 * np.where(largest > 0, largest, 1.0))
    identity = np.eye(theta.shape[1])
    nearly_undamped = hessian + (1e-10 * scale)[:, :, None] * identity
    damped = hessian + (damping[:, None] * scale)[:, :, None] * identity
    newton = np.linalg.solve(nearly_undamped, gradient[..., None])[..., 0]
    step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
    most = problem.law.longest_step
    return np.clip(step, -most, most), 0.5 * np.sum(gradient * newton, axis=1)
