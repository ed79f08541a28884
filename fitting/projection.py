"""Variable projection: where to start a least-squares search, for many data sets at once.

Given the non-linear entries of theta a law is linear in the rest. So a grid over the one or two
non-linear ones, with the others solved in closed form, covers the whole parameter space, and all
data sets share its nodes and are solved by a few matrix products. Raw multi-start searches miss
the optimum: one of the reference study's committed fits has 6 times the squared error of the best.

Source: Golub and Pereyra 1973.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fitting.errors import Floats, Masks
    from fitting.laws import Law
    from fitting.prior import Penalty

FINE = 40
"""Nodes per axis for one data set, which takes 2 ms."""
COARSE = 20
"""Nodes per axis for each of many data sets; `tests/fitting` checks that they lose no optimum."""
AT_ONCE = 128
"""Data sets per block: arrays of (128, 400) stay within the processor's cache."""


def profile(
    law: Law,
    x: Floats,
    error: Floats,
    weight: Floats,
    per_axis: int = FINE,
    penalty: Penalty | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Squared error at each grid node with the linear parameters at their best.

    Shapes: x (m,), error (m,) or (b, m), weight (b, m). Returns the nodes (g, q), the squared
    error, with the penalty if there is one, (b, g) and the coefficients (b, g, k). A node at which
    the law would have to rise with compute has squared error inf.
    """
    nodes = law.nodes(x, per_axis)
    columns = law.columns(nodes, x)
    weighted = weight * error
    gram = [[weight @ (left * right).T for right in columns] for left in columns]
    moment = [weighted @ column.T for column in columns]
    total = np.sum(weighted * error, axis=1)[:, None]
    offset = law.offset(nodes, x)
    if offset is not None:
        moment = [
            known - weight @ (offset * column).T
            for known, column in zip(moment, columns, strict=True)
        ]
        total = total - 2 * weighted @ offset.T + weight @ (offset**2).T
    if penalty is not None:
        total = total + _penalise(law, nodes, (gram, moment), penalty)

    coefficients = _solve(gram, moment)
    if law.has_floor:
        last = len(columns) - 1
        without = [row[:last] for row in gram[:last]]
        floorless = [*_solve(without, moment[:last]), np.zeros_like(moment[last])]
        negative = coefficients[last] < 0
        coefficients = [
            np.where(negative, other, own)
            for own, other in zip(coefficients, floorless, strict=True)
        ]
    # At the optimum of the linear parameters the squared error is y'y minus c'X'y.
    sse = total - sum(c * m for c, m in zip(coefficients, moment, strict=True))
    rises = np.zeros(sse.shape, dtype=bool)
    for power in coefficients[: len(columns) - law.has_floor]:
        rises |= power <= 0
    return nodes, np.where(rises, np.inf, np.maximum(sse, 0.0)), np.stack(coefficients, axis=-1)


def _penalise(
    law: Law, nodes: Floats, system: tuple[list[list[Floats]], list[Floats]], penalty: Penalty
) -> Floats:
    """Add the penalty on E to the normal equations; returns what it adds to y'y, (b, g)."""
    gram, moment = system
    center, precision = np.atleast_2d(penalty.center), penalty.precision
    place = {name: i for i, name in enumerate(law.parameters)}
    added = np.zeros((len(center), len(nodes)))
    if "alpha" in place:
        # ln alpha is the last entry of every node.
        at = place["alpha"]
        added += precision[at] * (nodes[None, :, -1] - center[:, at, None]) ** 2
    if law.has_floor:
        at, weight = place["E"], precision[place["E"]]
        gram[-1][-1] = gram[-1][-1] + weight
        moment[-1] = moment[-1] + weight * center[:, at, None]
        added += weight * center[:, at, None] ** 2
    return added


def _solve(gram: list[list[Floats]], moment: list[Floats]) -> list[Floats]:
    """Gaussian elimination on k x k systems whose entries are arrays; k is 0 to 3."""
    gram, moment = [list(row) for row in gram], list(moment)
    size = len(moment)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(size):
            for j in range(i + 1, size):
                ratio = gram[j][i] / gram[i][i]
                gram[j] = [
                    below - ratio * above for below, above in zip(gram[j], gram[i], strict=True)
                ]
                moment[j] = moment[j] - ratio * moment[i]
        for i in reversed(range(size)):
            for j in range(i + 1, size):
                moment[i] = moment[i] - gram[i][j] * moment[j]
            moment[i] = moment[i] / gram[i][i]
    return [np.nan_to_num(value, nan=-1.0, posinf=-1.0, neginf=-1.0) for value in moment]


def best_start(
    law: Law, x: Floats, error: Floats, weight: Floats, penalty: Penalty | None = None
) -> tuple[Floats, Masks]:
    """theta of the best grid node of each data set (b, p), and whether there is any (b,).

    There is none where the error rises with compute at every node.
    """
    every = np.broadcast_to(error, weight.shape)
    starts = []
    for first in range(0, len(weight), AT_ONCE):
        block = np.arange(first, min(first + AT_ONCE, len(weight)))
        own = None if penalty is None else penalty.take(block)
        starts.append(_best_start(law, x, every[block], weight[block], own))
    return np.concatenate([theta for theta, _ in starts]), np.concatenate([e for _, e in starts])


def _best_start(
    law: Law, x: Floats, error: Floats, weight: Floats, penalty: Penalty | None
) -> tuple[Floats, Masks]:
    nodes, sse, coefficients = profile(law, x, error, weight, COARSE, penalty)
    best = sse.argmin(axis=1)
    row = np.arange(len(weight))
    exists = np.isfinite(sse[row, best])
    chosen = np.where(exists[:, None], coefficients[row, best], 1.0)
    return law.assemble(nodes[best], chosen), exists


def every_start(
    law: Law, x: Floats, error: Floats, weight: Floats, penalty: Penalty | None = None
) -> Floats:
    """theta (s, p) of the grid nodes of one data set that no neighbouring node betters."""
    nodes, sse, coefficients = profile(law, x, error, weight, FINE, penalty)
    loss = sse[0].reshape((FINE,) * nodes.shape[1])
    is_minimum = np.isfinite(loss)
    for axis in range(loss.ndim):
        edge = [(1, 1) if i == axis else (0, 0) for i in range(loss.ndim)]
        padded = np.pad(loss, edge, constant_values=np.inf)
        below = np.take(padded, range(FINE), axis=axis)
        above = np.take(padded, range(2, FINE + 2), axis=axis)
        is_minimum &= (loss <= below) & (loss <= above)
    kept = np.flatnonzero(is_minimum)
    return law.assemble(nodes[kept], coefficients[0, kept])
