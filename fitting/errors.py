"""The one exception of this package, and the array type that every module shares."""

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
