"""The bootstrap: draw a series again, take the frontier again, fit again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from fitting.errors import FitError
from fitting.frontier import Cells, choose
from fitting.objective import Objective
from fitting.search import optimum_of_each
from fitting.surfaces.cells import Cells as GridCells
from fitting.surfaces.resample import draw

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers
    from fitting.laws import Law

KINDS = ("cells", "points", "runs", "grid")
"""What is drawn with replacement.

Cells, after which the frontier is taken again; the points of the frontier as it is, so that how
it was chosen does not count; runs, that is trials with all their cells, which share what went
right or wrong in training; or the sizes and, independently, the samples seen of a grid, whose rows
share what a surface misses, see `fitting.surfaces.resample.draw`.
"""
MOST_ROUNDS = 20
"""Times that resamples too poor to fit are drawn again before the bootstrap gives up."""


@dataclass(frozen=True, eq=False)
class Refits:
    """The law fitted to each of r resamples of the cells of a series."""

    law: Law
    theta: Floats
    """(r, p)."""
    scale: float
    drawn_again: int
    """Resamples replaced because their frontier could not determine the law."""

    def __len__(self) -> int:
        """Number of refits."""
        return len(self.theta)

    def predict(self, gflops: Floats) -> Floats:
        """Error (r, t) of every refit at compute `gflops` (t,)."""
        return self.law.error(self.theta, np.asarray(gflops) / self.scale)


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How resamples are drawn."""

    frontier: str = "bins"
    refits: int = 1000
    seed: int = 0
    kind: str = "cells"
    """One of `KINDS`."""


def refit(
    law: Law, method: str, cells: tuple[Floats, Floats], *, scale: float, refits: int, seed: int
) -> Refits:
    """`refit_all` by least squares on the `method` frontier of resampled cells."""
    how = Resampling(frontier=method, refits=refits, seed=seed)
    return refit_all(law, Cells(*cells), how, scale=scale)


def refit_all(
    law: Law,
    cells: Cells,
    how: Resampling,
    *,
    scale: float,
    run: Integers | None = None,
    objective: Objective | None = None,
) -> Refits:
    """Fit `law` to the frontier of `how.refits` resamples of `cells`.

    A resample whose frontier has fewer points than the law has parameters, or does not fall, is
    drawn again and counted. The random stream depends on the seed and on the measured errors, so
    that neither the order of cells or series nor the name of a family changes a result, and two
    series are resampled independently. `run` (m,) numbers the trial of each cell. Under a prior
    each refit draws the prior's centre too, see `Penalty.drawn`.

    Raises `FitError` if most resamples are too poor.
    """
    objective = (objective or Objective()).of(law)
    order = cells.order
    cells = cells.take(order)
    run = np.arange(len(order)) if run is None else run[order]
    generator = np.random.default_rng([how.seed, crc32(cells.error.tobytes())])
    kept: list[Floats] = []
    missing, drawn_again = how.refits, 0
    for _ in range(MOST_ROUNDS):
        weight, error = _draw(how, cells, run, missing, generator)
        usable = np.sum(weight > 0, axis=1) >= len(law.parameters)
        error = error[usable] if error.ndim == 2 else error
        drawn = cells.gflops / scale, error, weight[usable]
        theta = _fit_each(law, drawn, objective, generator)
        kept.append(theta)
        drawn_again += missing - len(theta)
        missing -= len(theta)
        if not missing:
            return Refits(law, np.concatenate(kept), scale, drawn_again)
    raise FitError(
        f"{drawn_again} of {drawn_again + how.refits - missing} resamples of the "
        f"{len(order)} cells leave a frontier of fewer than {len(law.parameters)} points"
    )


def _draw(
    how: Resampling, cells: Cells, run: Integers, count: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """How often each cell counts in each resample (count, m), and its error (m,) or (count, m)."""
    size = len(cells.gflops)
    if how.kind == "points":
        chosen = choose(how.frontier, cells, np.ones((1, size)))
        points = np.flatnonzero(chosen.weight[0])
        weight = np.zeros((count, size))
        weight[:, points] = generator.multinomial(
            len(points), np.full(len(points), 1 / len(points)), size=count
        )
        return weight, np.broadcast_to(chosen.error, (1, size))[0]
    if how.kind == "grid":
        times = draw(GridCells.of_series(cells), count, generator)
    else:
        times = _times_each(run if how.kind == "runs" else np.arange(size), count, generator)
    chosen = choose(how.frontier, cells, times, generator)
    return chosen.weight, chosen.error


def _times_each(run: Integers, count: int, generator: np.random.Generator) -> Floats:
    """How often each of `count` resamples of whole runs holds each cell (count, m)."""
    unit = np.unique(run, return_inverse=True)[1].reshape(-1)
    units = int(unit.max()) + 1
    drawn = generator.integers(units, size=(count, units))
    times = np.zeros((count, units))
    np.add.at(times, (np.arange(count)[:, None], drawn), 1.0)
    return times[:, unit]


def _fit_each(
    law: Law,
    drawn: tuple[Floats, Floats, Floats],
    objective: Objective,
    generator: np.random.Generator,
) -> Floats:
    """theta of the resamples, x, error and weight, that can be fitted (r, p)."""
    x, error, weight = drawn
    if not len(weight):
        return np.empty((0, len(law.parameters)))
    used = np.any(weight > 0, axis=0)
    penalty = objective.penalty(law)
    if penalty is not None:
        penalty = penalty.drawn(len(weight), generator)
    cells = x[used], error[..., used]
    found, _ = optimum_of_each(law, cells, weight[:, used], objective, penalty)
    return found.theta
