"""The law that starts from chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.laws.base import Law, limits, ln_b_and_alpha, power_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats


@dataclass(frozen=True)
class AnchoredLaw(Law):
    r"""A saturating power law that starts, without compute, from the error of chance.

    .. math:: \mathcal{E}(C) = E + (e_0 - E)\,(1 + C / B)^{-\alpha}

    `B` (GFLOPs, reported as `lnB`) is the compute at which models start to learn, `E` the error
    that no amount of compute removes, `alpha` has no unit; `e0`, the error of chance, is known and
    not fitted. It is the law of `SaturatingPowerLaw` with A = (e0 - E) B^alpha, which is reported
    too: the free factor there is a parameter that the smallest cells, all at chance, decide.

    The solver moves theta = (ln b, ln alpha, E), b = B / C0.

    Source: the fits of arXiv:2506.04598 already imply an error of 1.005 at C = 0 for both of its
    families; fixing it costs no accuracy and a degree of freedom less.
    """

    chance: float = 1.0
    """e0; 1 where the number of classes is not known, wrong by 1 / classes."""

    name = "anchored"
    parameters = ("lnB", "alpha", "E")
    has_floor = True
    needs_chance = True

    def anchored_at(self, chance_error: float) -> AnchoredLaw:
        """See `Law.anchored_at`."""
        return AnchoredLaw(chance_error)

    def error(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.error`."""
        floor = theta[..., 2:3]
        return floor + (self.chance - floor) * self._left(theta, x)[0]

    def jacobian(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.jacobian`."""
        left, log = self._left(theta, x)
        ratio, alpha = x * np.exp(-theta[..., 0:1]), np.exp(theta[..., 1:2])
        slope = (self.chance - theta[..., 2:3]) * left * alpha
        return np.stack([slope * ratio / (1 + ratio), -slope * log, 1 - left], axis=-1)

    def _left(self, theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        """(1 + C/B)^-alpha, the share of the reducible error that is left, and its base's log."""
        log = np.log1p(x * np.exp(-theta[..., 0:1]))
        return np.exp(-np.exp(theta[..., 1:2]) * log), log

    def bounds(self, x: Floats, lowest: Floats) -> tuple[Floats, Floats]:
        """See `Law.bounds`."""
        below_chance = np.minimum(lowest, self.chance * (1 - 1e-6))
        return limits(self.parameters, x, below_chance, factor=False)

    def nodes(self, x: Floats, per_axis: int) -> Floats:
        """See `Law.nodes`."""
        return ln_b_and_alpha(x, per_axis)

    def columns(self, nodes: Floats, x: Floats) -> tuple[Floats, ...]:
        """See `Law.columns`: what E adds."""
        return (1 - self._left(nodes, x)[0],)

    def offset(self, nodes: Floats, x: Floats) -> Floats:
        """See `Law.offset`: the law with E = 0."""
        return self.chance * self._left(nodes, x)[0]

    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """See `Law.assemble`."""
        return np.column_stack([nodes, coefficients[:, 0]])

    def to_parameters(self, theta: Floats, scale: float) -> dict[str, float]:
        """See `Law.to_parameters`."""
        ln_b, ln_alpha, floor = (float(value) for value in theta)
        return {
            "lnB": ln_b + float(np.log(scale)),
            "alpha": float(np.exp(ln_alpha)),
            "E": floor,
        }

    def from_parameters(self, parameters: Mapping[str, float], scale: float) -> Floats:
        """See `Law.from_parameters`."""
        ln_b = parameters["lnB"] - np.log(scale)
        return np.array([ln_b, np.log(parameters["alpha"]), parameters["E"]])

    def published(self, theta: Floats, scale: float) -> dict[str, float]:
        """See `Law.published`: with A, so that the four-parameter formula gives the same curve."""
        own = self.to_parameters(theta, scale)
        factor = (self.chance - own["E"]) * np.exp(own["alpha"] * own["lnB"])
        return {"A": float(factor), **own}

    def describe(self, parameters: Mapping[str, float]) -> str:
        """See `Law.describe`: in the form of the four-parameter law."""
        power = power_text(parameters)
        return f"{power} + {parameters['E']:.3f}"
