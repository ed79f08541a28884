"""The least-squares search, for many data sets at once.

Variable projection finds the basin, a bounded Levenberg-Marquardt descent its bottom. Given the
non-linear entries of theta a law is linear in the rest, so a grid over two of them with the others
solved in closed form covers the whole space; all data sets share the grid and are solved by a few
matrix products. Raw multi-start searches miss the optimum: one of the reference study's committed
fits has 6 times the squared error of the best.

Source of the method: Golub and Pereyra 1973 (variable projection); Marquardt 1963.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers, Masks
    from fitting.laws import Law

PER_AXIS = 40
MAX_STEPS = 300
LONGEST_STEP = 1.0
"""In theta, that is a factor e in R, B and alpha."""
SMALL_DECREASE = 1e-13
"""Relative fall of the squared error that the next step promises, below which it is the last."""
FIRST_DAMPING, EASE, STIFFEN, MOST_DAMPING = 1e-2, 0.2, 6.0, 1e12


@dataclass(frozen=True)
class Solutions:
    """Least-squares optima of b data sets."""

    theta: Floats
    """(b, p)."""
    sse: Floats
    """Weighted sum of squared errors (b,); inf where the law falls for no parameters."""
    converged: Masks
    """(b,)."""


def profile(law: Law, x: Floats, error: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Squared error at each grid node with the linear parameters at their best.

    Shapes: x (m,), error (m,) or (b, m), weight (b, m). Returns the nodes (g, q), the squared
    error (b, g) and the coefficients (b, g, k). A node at which the law would have to rise with
    compute has squared error inf.
    """
    nodes = law.nodes(x, PER_AXIS)
    columns = law.columns(nodes, x)
    weighted = weight * error
    gram = [[weight @ (left * right).T for right in columns] for left in columns]
    moment = [weighted @ column.T for column in columns]
    total = np.sum(weighted * error, axis=1)[:, None]

    coefficients = _solve(gram, moment)
    if law.has_floor:
        last = len(columns) - 1
        without = [row[:last] for row in gram[:last]]
        floorless = [*_solve(without, moment[:last]), np.zeros_like(total)]
        negative = coefficients[last] < 0
        coefficients = [
            np.where(negative, other, own)
            for own, other in zip(coefficients, floorless, strict=True)
        ]
    # At the optimum of the linear parameters the squared error is y'y minus c'X'y.
    sse = total - sum(c * m for c, m in zip(coefficients, moment, strict=True))
    powers = coefficients[: len(columns) - law.has_floor]
    falls = np.all([power > 0 for power in powers], axis=0)
    return nodes, np.where(falls, np.maximum(sse, 0.0), np.inf), np.stack(coefficients, axis=-1)


def _solve(gram: list[list[Floats]], moment: list[Floats]) -> list[Floats]:
    """Gaussian elimination on k x k systems whose entries are arrays; k is 1 to 3."""
    gram, moment = [list(row) for row in gram], list(moment)
    size = len(moment)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(size):
            for j in range(i + 1, size):
                ratio = gram[j][i] / gram[i][i]
                gram[j] = [below - ratio * above for below, above in zip(gram[j], gram[i], strict=True)]
                moment[j] = moment[j] - ratio * moment[i]
        for i in reversed(range(size)):
            for j in range(i + 1, size):
                moment[i] = moment[i] - gram[i][j] * moment[j]
            moment[i] = moment[i] / gram[i][i]
    return [np.nan_to_num(value, nan=-1.0, posinf=-1.0, neginf=-1.0) for value in moment]
