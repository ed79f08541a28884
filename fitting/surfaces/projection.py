"""Where to start: variable projection on a grid of the non-linear parameters.

As `fitting.projection` does for laws of compute; here the linear parameters are one to three, of
which any may be 0, and a law may have a known part.

Source: Golub and Pereyra 1973.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitting.errors import Floats
    from fitting.surfaces.law import Relative, SurfaceLaw

AT_ONCE = 64
"""Nodes per block, so that the arrays stay in the processor's cache."""


def best_nodes(
    law: SurfaceLaw, at: Relative, error: Floats, weight: Floats, nodes: Floats, *, keep: int
) -> Floats:
    """theta (keep, p) at the `keep` nodes (of g, q) of least weighted squared error, best first.

    Shapes: error and weight (n,).
    """
    blocks = [nodes[start : start + AT_ONCE] for start in range(0, len(nodes), AT_ONCE)]
    found = [_project(law, at, error, weight, block) for block in blocks]
    sse = np.concatenate([of_block for _, of_block in found])
    best = np.argsort(sse, kind="stable")[:keep]
    coefficients = np.concatenate([of_block for of_block, _ in found])
    return law.assemble(nodes[best], coefficients[best])


def _project(
    law: SurfaceLaw, at: Relative, error: Floats, weight: Floats, nodes: Floats
) -> tuple[Floats, Floats]:
    """The best linear parameters at each node (g, k) and their weighted squared error (g,)."""
    basis = law.basis(nodes, at)
    columns = np.stack(basis.columns)
    remaining = error - basis.offset
    weighted = weight * columns
    gram = np.einsum("ign,jgn->ijg", weighted, columns)
    moment = np.einsum("ign,gn->ig", weighted, remaining)
    coefficients, explained = _non_negative(gram, moment)
    return coefficients, np.einsum("n,gn,gn->g", weight, remaining, remaining) - explained


def _non_negative(gram: Floats, moment: Floats) -> tuple[Floats, Floats]:
    """Non-negative least squares (g, k) and the squared error that it explains (g,).

    `gram` is (k, k, g), `moment` (k, g). Every set of columns is tried: there are at most seven,
    and each is a few array operations.
    """
    count, size = moment.shape
    best, explained = np.zeros((size, count)), np.zeros(size)
    for chosen in range(1, count + 1):
        for subset in combinations(range(count), chosen):
            solution = _solve(gram, moment, subset)
            gain = np.sum(solution * moment[list(subset)], axis=0)
            feasible = np.all(np.isfinite(solution) & (solution >= 0), axis=0)
            better = feasible & (gain > explained)
            explained = np.where(better, gain, explained)
            full = np.zeros((size, count))
            full[:, list(subset)] = solution.T
            best = np.where(better[:, None], full, best)
    return best, explained


def _solve(gram: Floats, moment: Floats, subset: Sequence[int]) -> Floats:
    """Gaussian elimination on the systems (s, s, g) of some of the columns; inf if singular."""
    left = gram[np.ix_(subset, subset)].copy()
    right = moment[list(subset)].copy()
    size = len(subset)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in range(size):
            for j in range(i + 1, size):
                ratio = left[j, i] / left[i, i]
                left[j] -= ratio * left[i]
                right[j] -= ratio * right[i]
        for i in reversed(range(size)):
            for j in range(i + 1, size):
                right[i] -= left[i, j] * right[j]
            right[i] /= left[i, i]
    return right
