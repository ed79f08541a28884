"""Where to start: variable projection on a grid, for many data sets at once.

As `fitting.projection` does for laws of compute; here the linear parameters are one to three, of
which any may be 0, and a law may have a known part.

Source: Golub and Pereyra 1973.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fitting.errors import Floats
    from fitting.surfaces.law import Relative, SurfaceLaw

AT_ONCE = 128
"""Data sets per block, so that the arrays stay in the processor's cache."""


def starts(
    law: SurfaceLaw, at: Relative, error: Floats, weight: Floats, *, nodes: Floats, keep: int
) -> Floats:
    """theta (b, keep, p) of the `keep` best nodes of each data set, the best first.

    Shapes: error (n,), weight (b, n), nodes (g, q). Minimised is the weighted squared error.
    """
    basis = law.basis(nodes, at)
    remaining = error - basis.offset
    gram = [[left * right for right in basis.columns] for left in basis.columns]
    moment = [column * remaining for column in basis.columns]
    blocks = [weight[start : start + AT_ONCE] for start in range(0, len(weight), AT_ONCE)]
    found = []
    for block in blocks:
        coefficients, gain = _non_negative(
            [[block @ cell.T for cell in row] for row in gram], [block @ row.T for row in moment]
        )
        sse = block @ (remaining**2).T - gain
        best = np.argpartition(sse, range(keep), axis=1)[:, :keep]
        chosen = np.take_along_axis(coefficients, best[..., None], axis=1)
        size = best.size
        theta = law.assemble(nodes[best.reshape(size)], chosen.reshape(size, -1))
        found.append(theta.reshape(len(block), keep, -1))
    return np.concatenate(found)


def _non_negative(gram: list[list[Floats]], moment: list[Floats]) -> tuple[Floats, Floats]:
    """Non-negative least squares (b, g, k) and the squared error that it explains (b, g).

    Every set of columns is tried: there are at most seven, and each is a few array operations.
    """
    count = len(moment)
    best = np.zeros((*moment[0].shape, count))
    explained = np.zeros_like(moment[0])
    for size in range(1, count + 1):
        for subset in combinations(range(count), size):
            solution = _solve(
                [[gram[i][j] for j in subset] for i in subset], [moment[i] for i in subset]
            )
            gain = sum(solution[place] * moment[i] for place, i in enumerate(subset))
            feasible = np.all([np.isfinite(part) & (part >= 0) for part in solution], axis=0)
            better = feasible & (gain > explained)
            explained = np.where(better, gain, explained)
            for i in range(count):
                value = solution[subset.index(i)] if i in subset else 0.0
                best[..., i] = np.where(better, value, best[..., i])
    return best, explained


def _solve(gram: list[list[Floats]], moment: list[Floats]) -> list[Floats]:
    """Gaussian elimination on systems of up to three unknowns whose entries are arrays."""
    gram, moment = [list(row) for row in gram], list(moment)
    size = len(moment)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in range(size):
            for j in range(i + 1, size):
                ratio = gram[j][i] / gram[i][i]
                gram[j] = [low - ratio * high for low, high in zip(gram[j], gram[i], strict=True)]
                moment[j] = moment[j] - ratio * moment[i]
        for i in reversed(range(size)):
            for j in range(i + 1, size):
                moment[i] = moment[i] - gram[i][j] * moment[j]
            moment[i] = moment[i] / gram[i][i]
    return moment
