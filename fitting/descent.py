"""Bounded Levenberg-Marquardt descent of many regressions at once.

Source: Marquardt 1963, with his scaling of the damping by the diagonal. A loss other than squares
is met by reweighting the points at every step (Holland and Welsch 1977).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.loss import LEAST_SQUARES, Loss

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers, Masks
    from fitting.laws import Law
    from fitting.prior import Penalty

MAX_STEPS = 300
LONGEST_STEP = 1.0
"""In theta, that is a factor e in R, B and alpha."""
SMALL_DECREASE = 1e-13
"""Relative fall of the cost that the next step promises, below which it is the last."""
FIRST_DAMPING, EASE, STIFFEN, MOST_DAMPING = 1e-2, 0.2, 6.0, 1e12


@dataclass(frozen=True)
class Points:
    """Data sets of n points each, all (b, n); a point of weight 0 is not there."""

    x: Floats
    """Compute relative to the reference compute."""
    error: Floats
    weight: Floats

    @classmethod
    def packed(cls, x: Floats, error: Floats, weight: Floats) -> Points:
        """Drop the columns that few data sets use: x (m,), error (m,) or (b, m), weight (b, m).

        A frontier holds 10 to 30 of the 50 to 150 cells of its series.
        """
        widest = int((weight > 0).sum(axis=1).max())
        column = np.argsort(weight <= 0, axis=1, kind="stable")[:, :widest]
        every = np.broadcast_to(error, weight.shape)
        return cls(
            x[column],
            np.take_along_axis(every, column, axis=1),
            np.take_along_axis(weight, column, axis=1),
        )

    def take(self, rows: Integers) -> Points:
        """Some of the data sets, in the order of `rows`."""
        return Points(self.x[rows], self.error[rows], self.weight[rows])

    def weighted(self, factor: Floats) -> Points:
        """The same points with their weights (b, n) times `factor` (b, n)."""
        return Points(self.x, self.error, self.weight * factor)

    def lowest(self) -> Floats:
        """Smallest error of each data set (b,)."""
        lowest: Floats = np.where(self.weight > 0, self.error, np.inf).min(axis=1)
        return lowest

    def rounding(self) -> Floats:
        """A squared error (b,) that double precision cannot tell from 0."""
        size: Floats = np.einsum("bn,bn,bn->b", self.weight, self.error, self.error)
        return 1e-28 * size


@dataclass(frozen=True)
class Problem:
    """b data sets, the law that they are fitted with, and what a misfit costs."""

    law: Law
    points: Points
    loss: Loss = LEAST_SQUARES
    penalty: Penalty | None = None

    def take(self, rows: Integers) -> Problem:
        """Some of the data sets, in the order of `rows`."""
        penalty = None if self.penalty is None else self.penalty.take(rows)
        return Problem(self.law, self.points.take(rows), self.loss, penalty)

    def cost(self, theta: Floats) -> Floats:
        """Weighted sum of rho, plus the penalty, of theta (b, p), (b,)."""
        residual = self.loss.residual(self.law.error(theta, self.points.x), self.points.error)
        cost: Floats = np.einsum("bn,bn->b", self.points.weight, self.loss.rho(residual))
        return cost if self.penalty is None else cost + self.penalty.cost(theta)

    def slopes(self, theta: Floats) -> tuple[Floats, Floats]:
        """Half the gradient of `cost` (b, p) and half its Gauss-Newton Hessian (b, p, p)."""
        predicted = self.law.error(theta, self.points.x)
        residual = self.loss.residual(predicted, self.points.error)
        jacobian = self.law.jacobian(theta, self.points.x)
        weight = self.points.weight
        if self.loss.in_logs:
            jacobian = jacobian * self.loss.slope(predicted)[..., None]
        if not self.loss.is_squares:
            weight = weight * self.loss.stiffness(residual)
        weighted = np.swapaxes(jacobian * weight[..., None], 1, 2)
        gradient = (weighted @ residual[..., None])[..., 0]
        hessian = weighted @ jacobian
        if self.penalty is not None:
            gradient = gradient + self.penalty.precision * (theta - self.penalty.center)
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

    def take(self, rows: Integers) -> Solutions:
        """Some of the optima, in the order of `rows`."""
        return Solutions(self.theta[rows], self.cost[rows], self.converged[rows])


def descend(problem: Problem, theta: Floats, *, x_range: Floats) -> Solutions:
    """The bounded optimum reached from each `theta` (b, p).

    Projected Levenberg-Marquardt: a parameter at a bound that the gradient pushes outwards is held
    for the step. Each data set has its own damping and leaves the loop when it is done. `x_range`
    are the points that set the bounds of the law, the same for all resamples of a series.
    """
    low, high = problem.law.bounds(x_range, problem.points.lowest())
    theta = np.clip(theta, low, high)
    cost = problem.cost(theta)
    damping = np.full(len(theta), FIRST_DAMPING)
    converged = cost <= problem.points.rounding()
    active = np.flatnonzero(~converged)
    for _ in range(MAX_STEPS):
        if not len(active):
            break
        here = problem.take(active)
        bounds = low[active], high[active]
        step, promised = _step(here, theta[active], damping[active], bounds)
        trial = np.clip(theta[active] + step, *bounds)
        trial_cost = here.cost(trial)
        better = trial_cost < cost[active]
        rounding = here.points.rounding()
        # A squared error is known to 2 r dr with dr = 1e-16 y, which bounds what a step can gain.
        negligible = SMALL_DECREASE * cost[active] + 0.1 * np.sqrt(cost[active] * rounding)
        done = (promised <= negligible) | (trial_cost <= rounding)
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
    held = ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0))
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
    return np.clip(step, -LONGEST_STEP, LONGEST_STEP), np.sum(gradient * newton, axis=1)
