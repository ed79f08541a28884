"""Priors: what is known of a law before its points are seen, the same for every contestant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import ndtr

from fitting.errors import FitError

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers, Masks
    from fitting.laws import Law


class Normal(NamedTuple):
    """A normal distribution."""

    mean: float
    sd: float

    @property
    def variance_if_positive(self) -> float:
        """Mean square around `mean`, relative to sd^2, of what is drawn and above 0."""
        ends = self.mean / self.sd
        density = np.exp(-0.5 * ends**2) / np.sqrt(2 * np.pi)
        return float(1 - ends * density / ndtr(ends))


@dataclass(frozen=True)
class Prior:
    """Independent normal priors of ln alpha and of E, where a law has them.

    `noise` is the standard deviation that a point of error 0.5 is taken to have when points are
    weighed against the prior. A fit never estimates it: with few points that would be too sure.

    Source of the weak prior: exponents and floors of the published fits of arXiv:2506.04598,
    widened; the residual scale is that of their frontiers.
    """

    name: str
    ln_alpha: Normal
    floor: Normal | None
    noise: float

    def penalty(self, law: Law, *, in_logs: bool) -> Penalty:
        """The prior as squared deviations of theta, in the units of a squared residual."""
        # ln y of a point at 0.5 scatters twice as much as y.
        noise = self.noise / 0.5 if in_logs else self.noise
        center, precision = np.zeros(len(law.parameters)), np.zeros(len(law.parameters))
        spread = np.ones(len(law.parameters))
        for i, name in enumerate(law.parameters):
            normal = {"alpha": self.ln_alpha, "E": self.floor}.get(name)
            if normal is not None:
                center[i], precision[i] = normal.mean, (noise / normal.sd) ** 2
                spread[i] = normal.variance_if_positive if name == "E" else 1.0
        return Penalty(center, precision, noise, spread)

    def without_floor(self) -> Prior:
        """The same without a word on E, for errors that are no fractions."""
        return Prior(self.name, self.ln_alpha, None, self.noise)


@dataclass(frozen=True)
class Penalty:
    """precision (theta - center)^2, added to a weighted sum of squared residuals."""

    center: Floats
    """(p,) or (b, p)."""
    precision: Floats
    """(p,), 0 where nothing is known."""
    noise: float
    spread: Floats | float = 1.0
    """Mean square of a truth's distance from the center (p,), relative to what the precision says:
    less than 1 where a bound cuts the prior off, as E >= 0 does."""

    @property
    def score_variance(self) -> Floats:
        """Variance (p,) of the penalty's pull if the truth is drawn from the prior."""
        return self.precision * self.noise**2 * self.spread

    def of(self, entries: Masks) -> Penalty:
        """The penalty of some entries of theta."""
        spread = np.broadcast_to(self.spread, self.precision.shape)[entries]
        return Penalty(self.center[..., entries], self.precision[entries], self.noise, spread)

    def cost(self, theta: Floats) -> Floats:
        """What theta (b, p) costs, (b,)."""
        cost: Floats = (theta - self.center) ** 2 @ self.precision
        return cost

    def take(self, rows: Integers) -> Penalty:
        """The penalties of some of the data sets."""
        center = self.center[rows] if self.center.ndim == 2 else self.center
        return replace(self, center=center)

    def drawn(self, count: int, generator: np.random.Generator) -> Penalty:
        """Penalties of `count` refits, each centred on its own draw from the prior.

        So what the prior leaves open shows in the scatter of the refits; around one common centre
        the refits would agree the more, the less their points say.
        """
        known = self.precision > 0
        sd = np.where(known, self.noise / np.sqrt(np.where(known, self.precision, 1.0)), 0.0)
        center = self.center + sd * generator.standard_normal((count, len(sd)))
        return replace(self, center=center)


WEAK = Prior("weak", Normal(np.log(0.2), 0.4), Normal(0.08, 0.08), 0.012)
PRIORS: dict[str, Prior | None] = {"none": None, "weak": WEAK}


def prior_named(name: str) -> Prior | None:
    """The registered prior, None for "none", or a `FitError` that lists those there are."""
    if name not in PRIORS:
        raise FitError(f"unknown prior {name!r} (known: {', '.join(sorted(PRIORS))})")
    return PRIORS[name]
