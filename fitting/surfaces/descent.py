"""Bounded Levenberg-Marquardt descent of many regressions of one surface at once.

As `fitting.descent`, which is for laws of compute; all data sets here share their cells, and a
Huber loss is met by its own curvature, 0 beyond delta, which takes a tenth of the steps that
reweighting needs when nearly all residuals of 240 cells exceed a delta of 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers, Masks
    from fitting.loss import Loss
    from fitting.prior import Penalty
    from fitting.surfaces.law import Relative, SurfaceLaw

MAX_STEPS = 400
SMALL_DECREASE = 1e-12
"""Relative fall of the cost that the next step promises, below which it is the last."""
FIRST_DAMPING, EASE, STIFFEN, MOST_DAMPING = 1e-3, 0.2, 6.0, 1e12
BEYOND_DELTA = 0.05
"""Share of the weight of reweighting that a residual beyond delta keeps as curvature.

Its true curvature is 0; but early on all residuals may lie beyond delta.
"""


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
    penalty: Penalty | None = None

    def take(self, rows: Integers) -> Problem:
        """Some of the data sets, in the order of `rows`."""
        penalty = None if self.penalty is None else self.penalty.take(rows)
        return replace(self, weight=self.weight[rows], penalty=penalty)

    def cost(self, theta: Floats) -> Floats:
        """Weighted sum of rho, plus the penalty, of theta (b, p), (b,)."""
        residual = self.loss.residual(self.law.error(theta, self.at), self.error)
        cost: Floats = np.sum(self.weight * self.loss.rho(residual), axis=1)
        return cost if self.penalty is None else cost + self.penalty.cost(theta)

    def slopes(self, theta: Floats) -> tuple[Floats, Floats]:
        """Half the gradient of `cost` (b, p), half a positive approximation of its Hessian."""
        predicted = self.law.error(theta, self.at)
        residual = self.loss.residual(predicted, self.error)
        jacobian = self.law.jacobian(theta, self.at)
        if self.loss.in_logs:
            jacobian = jacobian * self.loss.slope(predicted)[..., None]
        pull, curvature = residual, self.weight
        if not self.loss.is_squares:
            stiffness = self.loss.stiffness(residual)
            pull = stiffness * residual
            curvature = curvature * np.where(stiffness < 1, BEYOND_DELTA * stiffness, 1.0)
        transposed = np.swapaxes(jacobian, 1, 2)
        gradient = (transposed @ (self.weight * pull)[..., None])[..., 0]
        hessian = transposed @ (jacobian * curvature[..., None])
        if self.penalty is not None:
            gradient = gradient + (theta - self.penalty.center) * self.penalty.precision
            hessian = hessian + np.diag(self.penalty.precision)
        return gradient, hessian


@dataclass(frozen=True)
class Solutions:
    """Optima of b data sets."""

    theta: Floats
    """(b, p)."""
    cost: Floats
    """`Problem.cost` (b,)."""
    converged: Masks
    """(b,)."""


def descend(problem: Problem, theta: Floats) -> Solutions:
    """The bounded optimum reached from each `theta` (b, p).

    A parameter at a bound that the gradient pushes outwards is held for the step. Each data set
    has its own damping and leaves the loop when it is done.
    """
    bounds = problem.law.bounds(problem.at, problem.error)
    theta = np.clip(theta, *bounds)
    cost = problem.cost(theta)
    damping = np.full(len(theta), FIRST_DAMPING)
    rounding = 1e-26 * np.sum(problem.weight * problem.error**2, axis=1)
    converged = cost <= rounding
    active = np.flatnonzero(~converged)
    for _ in range(MAX_STEPS):
        if not len(active):
            break
        here = problem.take(active)
        step, promised = _step(here, theta[active], damping[active], bounds)
        trial = np.clip(theta[active] + step, *bounds)
        trial_cost = here.cost(trial)
        better = trial_cost < cost[active]
        done = (promised <= SMALL_DECREASE * cost[active]) | (trial_cost <= rounding[active])
        stuck = damping[active] > MOST_DAMPING
        theta[active[better]], cost[active[better]] = trial[better], trial_cost[better]
        damping[active] *= np.where(better, EASE, STIFFEN)
        converged[active[done]] = True
        active = active[~(done | stuck)]
    return Solutions(theta, cost, converged)


def _step(
    problem: Problem, theta: Floats, damping: Floats, bounds: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """The damped step (b, p), and the fall of the cost that an undamped one promises (b,)."""
    gradient, hessian = problem.slopes(theta)
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
    return np.clip(step, -most, most), np.sum(gradient * newton, axis=1)
