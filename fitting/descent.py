"""Bounded Levenberg-Marquardt descent of many least-squares problems at once.

Source: Marquardt 1963, with his scaling of the damping by the diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers, Masks
    from fitting.laws import Law

MAX_STEPS = 300
LONGEST_STEP = 1.0
"""In theta, that is a factor e in R, B and alpha."""
SMALL_DECREASE = 1e-13
"""Relative fall of the squared error that the next step promises, below which it is the last."""
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

    def sse(self, law: Law, theta: Floats) -> Floats:
        """Weighted sum of squared errors of theta (b, p), (b,)."""
        residual = law.error(theta, self.x) - self.error
        sse: Floats = np.einsum("bn,bn,bn->b", self.weight, residual, residual)
        return sse

    def lowest(self) -> Floats:
        """Smallest error of each data set (b,)."""
        lowest: Floats = np.where(self.weight > 0, self.error, np.inf).min(axis=1)
        return lowest

    def rounding(self) -> Floats:
        """A squared error (b,) that double precision cannot tell from 0."""
        size: Floats = np.einsum("bn,bn,bn->b", self.weight, self.error, self.error)
        return 1e-28 * size


@dataclass(frozen=True)
class Solutions:
    """Least-squares optima of b data sets."""

    theta: Floats
    """(b, p)."""
    sse: Floats
    """Weighted sum of squared errors (b,)."""
    converged: Masks
    """(b,)."""


def descend(law: Law, points: Points, theta: Floats, *, x_range: Floats) -> Solutions:
    """The bounded least-squares optimum reached from each `theta` (b, p).

    Projected Levenberg-Marquardt: a parameter at a bound that the gradient pushes outwards is held
    for the step. Each data set has its own damping and leaves the loop when it is done. `x_range`
    are the points that set the bounds of the law, the same for all resamples of a series.
    """
    low, high = law.bounds(x_range, points.lowest())
    theta = np.clip(theta, low, high)
    sse = points.sse(law, theta)
    damping = np.full(len(theta), FIRST_DAMPING)
    converged = sse <= points.rounding()
    active = np.flatnonzero(~converged)
    for _ in range(MAX_STEPS):
        if not len(active):
            break
        here = points.take(active)
        bounds = low[active], high[active]
        step, promised = _step(law, here, theta[active], damping[active], bounds)
        trial = np.clip(theta[active] + step, *bounds)
        trial_sse = here.sse(law, trial)
        better = trial_sse < sse[active]
        rounding = here.rounding()
        # A squared error is known to 2 r dr with dr = 1e-16 y, which bounds what a step can gain.
        negligible = SMALL_DECREASE * sse[active] + 0.1 * np.sqrt(sse[active] * rounding)
        done = (promised <= negligible) | (trial_sse <= rounding)
        stuck = damping[active] > MOST_DAMPING

        theta[active[better]], sse[active[better]] = trial[better], trial_sse[better]
        damping[active] *= np.where(better, EASE, STIFFEN)
        converged[active[done]] = True
        active = active[~(done | stuck)]
    return Solutions(theta, sse, converged)


def _step(
    law: Law, points: Points, theta: Floats, damping: Floats, bounds: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """The damped step (b, p), and the fall of squared error that an undamped one promises (b,)."""
    residual = law.error(theta, points.x) - points.error
    jacobian = law.jacobian(theta, points.x)
    weighted = np.swapaxes(jacobian * points.weight[..., None], 1, 2)
    gradient = (weighted @ residual[..., None])[..., 0]
    hessian = weighted @ jacobian

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
