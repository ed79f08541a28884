"""Surfaces: one law with many parameter vectors, and the best division of a compute on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fitting.surfaces.law import Relative

if TYPE_CHECKING:
    from fitting.errors import Floats
    from fitting.surfaces.law import Scales, SurfaceLaw

FARTHEST = 1e4
"""How far outside the measured model sizes an optimum is looked for."""
ZOOMS, PER_ZOOM = 5, 33
"""Rounds of the search for the best size, and sizes tried in each."""
PER_LEAST = 49
"""Sizes tried where only the least error is asked for."""
AT_ONCE = 16
"""Surfaces per block, so that the arrays stay in the processor's cache."""


class Optimum(NamedTuple):
    """The best division of a compute between size and samples, for each of b surfaces."""

    gflops_per_sample: Floats
    """(b,); NaN where the error falls towards an end of the range."""
    samples_seen: Floats
    """(b,)."""
    error: Floats
    """(b,)."""


@dataclass(frozen=True, eq=False)
class Surfaces:
    """One law with b parameter vectors: a fit, or its refits."""

    law: SurfaceLaw
    theta: Floats
    """(b, p)."""
    scales: Scales
    sizes: tuple[float, float]
    """Smallest and largest GFLOPs per sample of the cells that were fitted."""

    def __len__(self) -> int:
        """Number of parameter vectors."""
        return len(self.theta)

    def predict(self, gflops_per_sample: Floats, samples_seen: Floats) -> Floats:
        """Error (b, n) at models of these sizes (n,) after so many samples (n,)."""
        at = Relative(
            np.asarray(gflops_per_sample, dtype=np.float64) / self.scales.size,
            np.asarray(samples_seen, dtype=np.float64) / self.scales.samples,
        )
        return self.law.error(self.theta, at)

    def least_error(self, compute: Floats) -> Floats:
        """Least error (b, n) at each compute (n,) in GFLOPs, by a model of measured size.

        Sizes are tried `PER_LEAST` to the measured range, ends included, and a parabola in ln size
        laid through the best three. For all resamples of a bootstrap at once; `optimum` searches
        closer, and agrees to 2e-6 on published and simulated series.
        """
        size = np.geomspace(*self.sizes, PER_LEAST)
        at = Relative(
            np.tile(size, len(compute)) / self.scales.size,
            (compute[:, None] / size).ravel() / self.scales.samples,
        )
        least = [
            _least_of(self.law.error(theta, at).reshape(len(theta), len(compute), PER_LEAST))
            for theta in np.split(self.theta, range(AT_ONCE, len(self), AT_ONCE))
        ]
        return np.concatenate(least)

    def optimum(
        self, compute: float | Floats, within: tuple[float, float] | None = None
    ) -> Optimum:
        """The size and samples of least error whose product is `compute` GFLOPs, () or (b,).

        A single parameter vector may be asked for many computes at once, and many for one.
        `within` bounds the GFLOPs per sample, ends included; without it an optimum at an end of
        the search, `FARTHEST` beyond the measured sizes, is none and NaN.
        """
        widest = self.sizes[0] / FARTHEST, self.sizes[1] * FARTHEST
        low, high = np.log(within or widest)
        total = np.broadcast_to(compute, max(np.size(compute), len(self)))[:, None]
        start, stop = np.full(len(total), low), np.full(len(total), high)
        row = np.arange(len(total))
        for _ in range(ZOOMS):
            ln_size = np.linspace(start, stop, PER_ZOOM, axis=1)
            error = self.predict(np.exp(ln_size), total * np.exp(-ln_size))
            best = error.argmin(axis=1)
            start = ln_size[row, np.maximum(best - 1, 0)]
            stop = ln_size[row, np.minimum(best + 1, PER_ZOOM - 1)]
        found, least = ln_size[row, best], error[row, best]
        if within is None:
            is_end = (found <= low + 1e-3) | (found >= high - 1e-3)
            found, least = np.where(is_end, np.nan, found), np.where(is_end, np.nan, least)
        return Optimum(np.exp(found), total[:, 0] * np.exp(-found), least)


def _least_of(error: Floats) -> Floats:
    """Least error (b, n) at ln sizes from the first to the last of k evenly spaced (b, n, k)."""
    middle = np.clip(error.argmin(axis=2), 1, error.shape[2] - 2)
    before, at, after = (
        np.take_along_axis(error, (middle + step)[..., None], axis=2)[..., 0]
        for step in (-1, 0, 1)
    )
    bend = before - 2 * at + after
    has_vertex = (bend > 0) & (np.abs(after - before) <= 2 * bend)
    fall = np.where(has_vertex, (after - before) ** 2 / (8 * np.where(has_vertex, bend, 1.0)), 0.0)
    return np.where(has_vertex, at - fall, np.minimum(before, after))
