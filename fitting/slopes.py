"""How fast errors fall: a law that is behind but steeper will overtake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from fitting.errors import Floats
    from fitting.series_fit import SeriesFit

STEP = 1e-3
"""Of ln compute in the central difference: the relative error of a slope is about 1e-7."""


@dataclass(frozen=True)
class SlopeAt:
    """How fast the two errors fall at one compute: d ln error / d ln compute, negative."""

    compute_gflops: float
    a: float
    b: float
    difference: float
    """Slope of a minus slope of b: positive where the error of b falls faster."""
    low: float
    """Ends of the interval of the difference: percentiles of the refits; infinite without them."""
    high: float


def slopes_at(a: SeriesFit, b: SeriesFit, targets: tuple[float, ...]) -> tuple[SlopeAt, ...]:
    """Slopes of the two laws at the target computes (GFLOPs), and their difference."""
    gflops = np.array(targets)
    slope_a, slope_b = (slope(side.fit.predict, gflops) for side in (a, b))
    difference = slope_a - slope_b
    low, high = np.full(len(gflops), -np.inf), np.full(len(gflops), np.inf)
    if a.refits is not None and b.refits is not None:
        refits = slope(a.refits.predict, gflops) - slope(b.refits.predict, gflops)
        low, high = np.quantile(refits, ((1 - a.level) / 2, (1 + a.level) / 2), axis=0)
    ends = np.minimum(low, difference), np.maximum(high, difference)
    columns = (gflops, slope_a, slope_b, difference, *ends)
    return tuple(SlopeAt(*row) for row in zip(*(c.tolist() for c in columns), strict=True))


def slope(predict: Callable[[Floats], Floats], gflops: Floats) -> Floats:
    """d ln error / d ln compute of a prediction (t,) or (r, t), by a central difference."""
    below, above = predict(gflops * np.exp(-STEP)), predict(gflops * np.exp(STEP))
    return np.asarray((np.log(above) - np.log(below)) / (2 * STEP))
