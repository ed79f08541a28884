"""Compute-optimal samples seen as a line in log-log: through a frontier, through parabola minima.

Both need no law of error. Both rest on where cells happen to lie: at small compute the best cell
has the smallest model of the grid, at large compute the most samples of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from fitting.errors import FitError
from fitting.frontier import method_named

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers, Masks
    from fitting.surfaces.cells import Cells

FEWEST_POINTS = 5
"""Frontier points of different compute below which a line through them says nothing."""
FEWEST_SLICES = 3
FEWEST_IN_SLICE = 5
"""One more than the four coefficients of the parabola."""
WINDOW = 16.0
"""Cells of a slice enter if their samples seen are within this factor of its best cell's.

Farther away the error is no parabola: it saturates at chance on one side, and on the other at what
a small model can do.
"""


@dataclass(frozen=True, eq=False)
class Line:
    """samples seen = factor x compute ^ exponent, and the same through resamples of the cells."""

    coefficients: Floats
    """Intercept and slope in logarithms (2,)."""
    refits: Floats
    """(r, 2)."""
    compute_gflops: Floats
    """The points under the line (n,)."""
    samples_seen: Floats
    """(n,)."""
    dropped: int
    """Resamples that gave no line."""

    @property
    def factor(self) -> float:
        """Samples seen at 1 GFLOP, as the line has it."""
        return float(np.exp(self.coefficients[0]))

    @property
    def exponent(self) -> float:
        """Relative growth of the best samples seen with compute."""
        return float(self.coefficients[1])

    def samples(self, compute: float) -> float:
        """Best samples seen at a compute in GFLOPs."""
        return float(np.exp(self.coefficients @ (1.0, np.log(compute))))

    def refitted_samples(self, compute: float) -> Floats:
        """The same of every refit, (r,)."""
        found: Floats = np.exp(self.refits @ np.array((1.0, np.log(compute))))
        return found


def frontier_line(cells: Cells, refits: int, seed: int) -> Line:
    """The line through (compute, samples seen) of the cells that no cheaper cell beats.

    The recipe of figure 6 of arXiv:2506.04598. Resamples draw cells with replacement and take the
    frontier again. Raises `FitError` if the frontier is too short.
    """
    on_frontier = method_named("pareto")
    gflops, error = cells.compute_gflops, cells.error
    everything = np.ones((1, len(cells)), dtype=bool)
    chosen = on_frontier(gflops, error, everything)
    count = len(np.unique(gflops[chosen[0]]))
    if count < FEWEST_POINTS:
        raise FitError(
            f"the frontier of {len(cells)} cells has {count} points of different compute; "
            f"a line needs at least {FEWEST_POINTS}"
        )
    held = on_frontier(gflops, error, _draw(cells, refits, seed) > 0)
    ln_c, ln_d = np.log(gflops), np.log(cells.samples_seen)
    lines, usable = _lines(ln_c, np.broadcast_to(ln_d, held.shape), held, 3)
    return Line(
        coefficients=_lines(ln_c, ln_d[None], chosen, 3)[0][0],
        refits=lines[usable],
        compute_gflops=gflops[chosen[0]],
        samples_seen=cells.samples_seen[chosen[0]],
        dropped=int(np.sum(~usable)),
    )


def isoflop_line(cells: Cells, refits: int, seed: int) -> Line:
    """The line through the minima of parabolas of error in log samples seen, one a compute slice.

    A slice holds the cells of one factor of 2 in compute, counted from the cheapest cell, and its
    regression a linear term for what differs in compute inside it. A minimum counts if the
    parabola opens upwards and it lies between cells. Raises `FitError` if fewer than three slices
    have one.

    Source: Hoffmann et al. 2022, arXiv:2203.15556, approach 2, for cells that do not lie on common
    computes.
    """
    slices = _slices(cells)
    weight = np.concatenate([np.ones((1, len(cells))), _draw(cells, refits, seed)])
    minima = np.array([_minimum(cells, one, weight) for one in slices]).reshape(-1, len(weight)).T
    ln_c = np.array([np.log(cells.compute_gflops[one]).mean() for one in slices])
    has = np.isfinite(minima)
    if has[0].sum() < FEWEST_SLICES:
        raise FitError(
            f"{int(has[0].sum())} compute slices of {len(cells)} cells have a parabola with its "
            f"minimum between cells; a line needs at least {FEWEST_SLICES}"
        )
    lines, usable = _lines(ln_c, np.where(has, minima, 0.0), has, FEWEST_SLICES)
    return Line(
        coefficients=lines[0],
        refits=lines[1:][usable[1:]],
        compute_gflops=np.exp(ln_c[has[0]]),
        samples_seen=np.exp(minima[0, has[0]]),
        dropped=int(np.sum(~usable)),
    )


def _draw(cells: Cells, refits: int, seed: int) -> Floats:
    """How often each resample holds each cell, (refits, m)."""
    generator = np.random.default_rng([seed, crc32(cells.error.tobytes())])
    size = len(cells)
    return generator.multinomial(size, np.full(size, 1 / size), size=refits).astype(np.float64)


def _lines(x: Floats, y: Floats, used: Masks, fewest: int) -> tuple[Floats, Masks]:
    """Least-squares lines (b, 2) of y (b, n) on x (n,) over what is used, and which exist."""
    count = used.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_x = (used * x).sum(axis=1) / count
        mean_y = (used * y).sum(axis=1) / count
        off = np.where(used, x - mean_x[:, None], 0.0)
        spread = np.sum(off**2, axis=1)
        slope = np.sum(off * y, axis=1) / spread
    usable = (count >= fewest) & (spread > 1e-9)
    return np.stack([mean_y - slope * mean_x, slope], axis=1), usable


def _slices(cells: Cells) -> list[Integers]:
    """Places of the cells of each slice near its best one, slices by ascending compute."""
    number = np.floor(np.log2(cells.compute_gflops / cells.compute_gflops[0]) + 0.5)
    kept = []
    for value in np.unique(number):
        members = np.flatnonzero(number == value)
        best = members[cells.error[members].argmin()]
        off = np.log(cells.samples_seen[members] / cells.samples_seen[best])
        kept.append(members[np.abs(off) <= np.log(WINDOW)])
    return [members for members in kept if len(members) >= FEWEST_IN_SLICE]


def _minimum(cells: Cells, members: Integers, weight: Floats) -> Floats:
    """ln samples seen of least error in one slice for each weighting, NaN without one, (b,)."""
    weight = weight[:, members]
    ln_d, ln_c = np.log(cells.samples_seen[members]), np.log(cells.compute_gflops[members])
    centre = ln_d.mean()
    off = ln_d - centre
    design = np.stack([np.ones_like(off), off, off**2, ln_c - ln_c.mean()], axis=1)
    normal = np.einsum("bn,ni,nj->bij", weight, design, design)
    moment = np.einsum("bn,ni,n->bi", weight, design, cells.error[members])
    # A resample that lost too many cells would be singular; it gets a minimum out of range.
    ridge = 1e-10 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(4)
    _, slope, curvature, _ = np.linalg.solve(normal + ridge + 1e-300, moment[..., None])[..., 0].T
    with np.errstate(divide="ignore", invalid="ignore"):
        lowest = -slope / (2 * curvature)
    held = np.where(weight > 0, off, np.nan)
    enough = (weight > 0).sum(axis=1) >= FEWEST_IN_SLICE
    enough &= np.array([len(np.unique(row[~np.isnan(row)])) >= 3 for row in held])
    inside = (lowest > off.min()) & (lowest < off.max())
    return np.where(enough & (curvature > 0) & inside, centre + lowest, np.nan)
