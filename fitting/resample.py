"""The bootstrap: draw the cells of a series again, take the frontier again, fit again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from fitting.descent import Points, descend
from fitting.errors import FitError
from fitting.frontier import method_named
from fitting.projection import best_start

if TYPE_CHECKING:
    from fitting.errors import Floats, Masks
    from fitting.laws import Law

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


def refit(
    law: Law, method: str, cells: tuple[Floats, Floats], *, scale: float, refits: int, seed: int
) -> Refits:
    """Fit `law` to the frontier of `refits` resamples of `cells`, compute and error (m,) each.

    Cells are drawn with replacement. A resample whose frontier has fewer points than the law has
    parameters, or does not fall, is drawn again and counted. The random stream depends on `seed`
    and on the measured errors, so that neither the order of cells or series nor the name of a
    family changes a result, and two series are resampled independently.

    Raises `FitError` if most resamples are too poor.
    """
    order = np.lexsort((cells[1], cells[0]))
    gflops, error = cells[0][order], cells[1][order]
    generator = np.random.default_rng([seed, crc32(error.tobytes())])
    kept: list[Floats] = []
    missing, drawn_again = refits, 0
    for _ in range(MOST_ROUNDS):
        on_frontier = _draw(method, gflops, error, missing, generator)
        usable = on_frontier.sum(axis=1) >= len(law.parameters)
        theta = _fit_each(law, gflops / scale, error, on_frontier[usable])
        kept.append(theta)
        drawn_again += missing - len(theta)
        missing -= len(theta)
        if not missing:
            return Refits(law, np.concatenate(kept), scale, drawn_again)
    raise FitError(
        f"{drawn_again} of {drawn_again + refits - missing} resamples of the {len(error)} cells "
        f"leave a frontier of fewer than {len(law.parameters)} points"
    )


def _draw(
    method: str, gflops: Floats, error: Floats, count: int, generator: np.random.Generator
) -> Masks:
    """Which cells are on the frontier of each of `count` resamples (count, m)."""
    size = len(gflops)
    held = np.zeros((count, size), dtype=bool)
    drawn = generator.integers(size, size=(count, size))
    held[np.arange(count)[:, None], drawn] = True
    return method_named(method)(gflops, error, held)


def _fit_each(law: Law, x: Floats, error: Floats, on_frontier: Masks) -> Floats:
    """theta of the resamples that can be fitted (r, p)."""
    if not len(on_frontier):
        return np.empty((0, len(law.parameters)))
    used = on_frontier.any(axis=0)
    x, error, weight = x[used], error[used], on_frontier[:, used].astype(np.float64)
    start, exists = best_start(law, x, error, weight)
    points = Points.packed(x, error, weight[exists])
    found = descend(law, points, start[exists], x_range=x)
    return found.theta
