"""What every module shares: the one exception, the array types, how a compute is written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
Integers = NDArray[np.intp]


class FitError(ValueError):
    """These data or options cannot give a result; the message holds the numbers that say why.

    A result that exists but is doubtful is no error: it carries a `FitStatus`.
    """


PLAIN_BELOW = 1e4
"""Computes below it are written out: 2,100."""


def gflops_text(value: float) -> str:
    """A compute to two digits: 7.0e+10, or plainly if it is small: 14 or 2,100."""
    if not PLAIN_BELOW > value >= 1:
        return f"{value:.1e}"
    rounded = float(f"{value:.1e}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:.2g}"
