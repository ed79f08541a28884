"""What a fitted series says of a compute, and how far it missed what was held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fitting.errors import Floats


@dataclass(frozen=True)
class Score:
    """Misses of the law on the held-out frontier; bias is predicted minus measured."""

    rmse: float
    mae: float
    bias: float

    @classmethod
    def of(cls, miss: Floats) -> Score:
        """Score predicted minus measured errors (t,), at least one."""
        return cls(
            rmse=float(np.sqrt(np.mean(miss**2))),
            mae=float(np.mean(np.abs(miss))),
            bias=float(np.mean(miss)),
        )


@dataclass(frozen=True)
class Prediction:
    """The error that a law predicts at a compute, with its intervals."""

    compute_gflops: float
    error: float
    low: float
    """Confidence interval of the law; -inf to inf if the data do not determine it."""
    high: float
    extrapolation: float
    """Compute relative to the largest that was fitted."""
    new_low: float
    """Prediction interval of one new point of the frontier, which scatters around the law.

    Widened by `SeriesFit.calibration`, where there is one.
    """
    new_high: float
