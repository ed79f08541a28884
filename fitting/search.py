"""The search for the optimum of an objective: descend, weigh again, and sharpen the loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fitting.descent import Points, Problem, Solutions, descend
from fitting.projection import best_start, every_start

if TYPE_CHECKING:
    from fitting.errors import Floats, Masks
    from fitting.laws import Law
    from fitting.objective import Objective
    from fitting.prior import Penalty

REWEIGHTINGS = 3
"""Times that weights follow from the predictions of the last fit; first they follow from what was
measured, of which the lowest points would count too much."""


def optimum_of_each(
    law: Law,
    cells: tuple[Floats, Floats],
    weight: Floats,
    objective: Objective,
    penalty: Penalty | None = None,
) -> tuple[Solutions, Masks]:
    """The optimum of each of b data sets that share their cells, and which sets have one (b,).

    `cells` are x (m,) and error (m,) or (b, m), `weight` (b, m) how often each data set holds each
    cell. Data sets whose error rises with compute have no optimum and no row in the solutions.
    """
    x, error = cells
    start, exists = best_start(law, x, error, weight * _of_measured(objective, error), penalty)
    kept = error[exists] if error.ndim == 2 else error
    problem = Problem(
        law,
        Points.packed(x, kept, weight[exists]),
        replace(objective.loss, delta=np.inf),
        None if penalty is None else penalty.take(np.flatnonzero(exists)),
    )
    first = descend(_weighed_by_measured(problem, objective), start[exists], x_range=x)
    return refined(problem, objective, first, x_range=x), exists


def every_optimum(
    law: Law, x: Floats, error: Floats, objective: Objective
) -> tuple[Problem, Solutions]:
    """The optima reached from every local minimum of the grid, weights after what was measured.

    Returns the problem of one data set, with unit weights, and s solutions; there is none if the
    error rises with compute.
    """
    penalty = objective.penalty(law)
    ones = np.ones((1, len(x)))
    starts = every_start(law, x, error, ones * _of_measured(objective, error), penalty)
    loss = replace(objective.loss, delta=np.inf)
    problem = Problem(law, Points(x[None], error[None], ones), loss, penalty)
    if not len(starts):
        return problem, Solutions(starts, np.empty(0), np.empty(0, dtype=bool))
    each = problem.take(np.zeros(len(starts), dtype=np.intp))
    return problem, descend(_weighed_by_measured(each, objective), starts, x_range=x)


def refined(
    problem: Problem, objective: Objective, found: Solutions, *, x_range: Floats
) -> Solutions:
    """The optimum of `objective` from the least-squares optimum under the first weights."""
    law, points = problem.law, problem.points
    weighed = problem
    for _ in range(REWEIGHTINGS if objective.kappa else 0):
        factor = objective.precision(law.error(found.theta, points.x))
        weighed = replace(problem, points=points.weighted(factor))
        found = descend(weighed, found.theta, x_range=x_range)
    for loss in objective.loss.annealed():
        found = descend(replace(weighed, loss=loss), found.theta, x_range=x_range)
    return found


def _of_measured(objective: Objective, error: Floats) -> Floats:
    """Weights from what was measured; in logarithms those of a residual's first order."""
    slope = objective.loss.slope(error)
    return objective.precision(error) * slope**2


def _weighed_by_measured(problem: Problem, objective: Objective) -> Problem:
    points = problem.points
    return replace(problem, points=points.weighted(objective.precision(points.error)))
