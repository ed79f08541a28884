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


def gflops_text(value: float) -> str:
    """A compute to two digits: 7.0e10."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"
