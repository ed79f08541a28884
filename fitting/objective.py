"""What an estimator minimises: the loss, the weights of points, and the prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.loss import LEAST_SQUARES, Loss

if TYPE_CHECKING:
    from fitting.errors import Floats
    from fitting.laws import Law
    from fitting.prior import Penalty, Prior

SMALLEST = 1e-3
"""Error below which a point becomes no more precise: weights stay finite."""


@dataclass(frozen=True)
class Objective:
    """The sum of weight x rho(residual) over points, plus the penalty of a prior.

    `kappa` is the variance power: the standard deviation of a point is proportional to its
    predicted error to that power, so its weight is (predicted / 0.5)^(-2 kappa). Over 26 published
    frontiers kappa is 0.34.
    """

    loss: Loss = LEAST_SQUARES
    kappa: float = 0.0
    prior: Prior | None = None

    @property
    def weights_name(self) -> str:
        """The name that `kappa_named` takes."""
        return f"power:{self.kappa:g}" if self.kappa else "equal"

    @property
    def prior_name(self) -> str:
        """The name that `prior_named` takes."""
        return "none" if self.prior is None else self.prior.name

    def of(self, law: Law) -> Objective:
        """The objective by which `law` is fitted: its own where its definition has one."""
        return self if law.own_loss is None else Objective(law.own_loss)

    def precision(self, error: Floats) -> Floats:
        """Weight of a point at this predicted error; 1 at an error of 0.5."""
        if not self.kappa:
            return np.ones_like(error)
        weight: Floats = (np.maximum(error, SMALLEST) / 0.5) ** (-2 * self.kappa)
        return weight

    def penalty(self, law: Law) -> Penalty | None:
        """The prior's penalty on theta of `law`."""
        return None if self.prior is None else self.prior.penalty(law, in_logs=self.loss.in_logs)


def kappa_named(name: str) -> float:
    """The variance power of weights `equal` or `power:0.5`; a `FitError` for anything else."""
    word, _, given = name.partition(":")
    try:
        kappa = {"equal": 0.0, "power": 0.5}[word] if not given else float(given)
    except (KeyError, ValueError):
        kappa = np.nan
    if not 0 <= kappa <= 2 or (given and word != "power"):
        raise FitError(f"unknown weights {name!r} (known: equal, power:KAPPA, KAPPA from 0 to 2)")
    return kappa
