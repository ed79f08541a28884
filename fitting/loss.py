"""Losses: what a miss of the law costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError

if TYPE_CHECKING:
    from fitting.errors import Floats

LINEAR_DELTA = 5e-3
"""Half a percentage point: residuals of published frontiers have a standard deviation of one."""
LOG_DELTA = 1e-3
"""That of Hoffmann et al. 2022, arXiv:2203.15556."""


@dataclass(frozen=True)
class Loss:
    """What is minimised: the sum over points of rho(residual).

    rho(r) = r^2 up to `delta` and 2 delta |r| - delta^2 beyond (Huber 1964).
    """

    in_logs: bool = False
    """Whether a residual is ln(predicted / measured) rather than predicted - measured."""
    delta: float = np.inf

    def __str__(self) -> str:
        """The name that `loss_named` takes."""
        if self.delta == np.inf:
            return "log" if self.in_logs else "squares"
        return f"{'log-' if self.in_logs else ''}huber:{self.delta:g}"

    @property
    def is_squares(self) -> bool:
        """Whether all residuals count with their square."""
        return self.delta == np.inf

    def residual(self, predicted: Floats, measured: Floats) -> Floats:
        """The residual of each point."""
        if not self.in_logs:
            return predicted - measured
        ratio: Floats = np.log(predicted / measured)
        return ratio

    def slope(self, predicted: Floats) -> Floats:
        """Derivative of the residual by the predicted error."""
        return 1 / predicted if self.in_logs else np.ones_like(predicted)

    def rho(self, residual: Floats) -> Floats:
        """What each residual costs."""
        if self.is_squares:
            return residual**2
        size = np.abs(residual)
        within = np.minimum(size, self.delta)
        cost: Floats = within * (2 * size - within)
        return cost

    def stiffness(self, residual: Floats) -> Floats:
        """Weight with which least squares has the same gradient: 1 up to `delta`, less beyond."""
        if self.is_squares:
            return np.ones_like(residual)
        return self.delta / np.maximum(np.abs(residual), self.delta)

    def annealed(self) -> tuple[Loss, ...]:
        """Losses that lead from least squares to this one, each easy to reach from the last.

        A small delta makes the loss nearly that of absolute residuals, on which a search from afar
        stops wherever a point is met exactly.
        """
        if self.is_squares:
            return ()
        return tuple(replace(self, delta=factor * self.delta) for factor in (32, 8, 2, 1))


LEAST_SQUARES = Loss()
LOG_LEAST_SQUARES = Loss(in_logs=True)


def loss_named(name: str) -> Loss:
    """The loss `squares`, `log`, `huber` or `log-huber`, the latter two with `:delta` if wished.

    Raises `FitError` for any other name.
    """
    word, _, given = name.partition(":")
    known = {
        "squares": LEAST_SQUARES,
        "log": LOG_LEAST_SQUARES,
        "huber": Loss(delta=LINEAR_DELTA),
        "log-huber": Loss(in_logs=True, delta=LOG_DELTA),
    }
    if word not in known or (given and known[word].is_squares):
        raise FitError(
            f"unknown loss {name!r} (known: {', '.join(known)}; the last two also as huber:0.005)"
        )
    if not given:
        return known[word]
    try:
        delta = float(given)
    except ValueError:
        delta = np.nan
    if not (np.isfinite(delta) and delta > 0):
        raise FitError(f"loss {name!r}: {given!r} is no positive number")
    return replace(known[word], delta=delta)
