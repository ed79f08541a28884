"""Laws that bend at small compute, with a free factor: with and without a floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitting.laws.base import Law, limits, ln_b_and_alpha, power_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats


class _OffsetPower(Law):
    """What the two have in common: R ((x + b) / (1 + b))^-alpha, theta = (ln R, ln b, ln alpha).

    b = B / C0, R is the reducible error at the reference compute C0, and A = R (C0 + B)^alpha. A
    itself spans decades and is correlated with alpha at 0.99; R is not.
    """

    def _reducible(self, theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        b, alpha = np.exp(theta[..., 1:2]), np.exp(theta[..., 2:3])
        log_ratio = np.log((x + b) / (1 + b))
        return np.exp(theta[..., 0:1] - alpha * log_ratio), log_ratio

    def _by_theta(self, theta: Floats, x: Floats) -> list[Floats]:
        reducible, log_ratio = self._reducible(theta, x)
        b, alpha = np.exp(theta[..., 1:2]), np.exp(theta[..., 2:3])
        by_ln_b = -alpha * b * (1 / (x + b) - 1 / (1 + b)) * reducible
        return [reducible, by_ln_b, -alpha * log_ratio * reducible]

    def bounds(self, x: Floats, lowest: Floats) -> tuple[Floats, Floats]:
        """See `Law.bounds`."""
        return limits(self.parameters[1:], x, lowest, factor=True)

    def nodes(self, x: Floats, per_axis: int) -> Floats:
        """See `Law.nodes`."""
        return ln_b_and_alpha(x, per_axis)

    def _power(self, nodes: Floats, x: Floats) -> Floats:
        b, alpha = np.exp(nodes[:, 0:1]), np.exp(nodes[:, 1:2])
        power: Floats = np.exp(-alpha * np.log((x + b) / (1 + b)))
        return power

    def to_parameters(self, theta: Floats, scale: float) -> dict[str, float]:
        """See `Law.to_parameters`."""
        ln_r, ln_b, ln_alpha, *floor = (float(value) for value in theta)
        alpha = float(np.exp(ln_alpha))
        ln_a = ln_r + alpha * (np.log(scale) + np.log1p(np.exp(ln_b)))
        values = (float(np.exp(ln_a)), ln_b + float(np.log(scale)), alpha, *floor)
        return dict(zip(self.parameters, values, strict=True))

    def from_parameters(self, parameters: Mapping[str, float], scale: float) -> Floats:
        """See `Law.from_parameters`."""
        ln_b, alpha = parameters["lnB"] - np.log(scale), parameters["alpha"]
        ln_r = np.log(parameters["A"]) - alpha * (np.log(scale) + np.log1p(np.exp(ln_b)))
        floor = [parameters["E"]] if self.has_floor else []
        return np.array([ln_r, ln_b, np.log(alpha), *floor])


class SaturatingPowerLaw(_OffsetPower):
    r"""A power law that saturates at both ends.

    .. math:: \mathcal{E}(C) = A\,(C + B)^{-\alpha} + E

    `B` (GFLOPs, reported as its logarithm `lnB`) bends the curve below the compute at which models
    start to learn; `E` is the error that no amount of compute removes; `A` carries GFLOPs^alpha;
    `alpha` has no unit.

    The solver moves theta = (ln R, ln b, ln alpha, E):  error = E + R ((x + b) / (1 + b))^-alpha.

    Source: Nezhurina et al. 2025, arXiv:2506.04598, equation 1.
    """

    name = "saturating"
    parameters = ("A", "lnB", "alpha", "E")
    has_floor = True

    def error(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.error`."""
        reducible, _ = self._reducible(theta, x)
        return reducible + theta[..., 3:4]

    def jacobian(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.jacobian`."""
        columns = self._by_theta(theta, x)
        return np.stack([*columns, np.ones_like(columns[0])], axis=-1)

    def columns(self, nodes: Floats, x: Floats) -> tuple[Floats, ...]:
        """See `Law.columns`: the power and the constant."""
        power = self._power(nodes, x)
        return power, np.ones_like(power)

    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """See `Law.assemble`."""
        return np.column_stack([np.log(coefficients[:, 0]), nodes, coefficients[:, 1]])

    def describe(self, parameters: Mapping[str, float]) -> str:
        """See `Law.describe`."""
        return f"{power_text(parameters)} + {parameters['E']:.3f}"


class NoFloorLaw(_OffsetPower):
    r"""A power law that bends at small compute and falls to zero.

    .. math:: \mathcal{E}(C) = A\,(C + B)^{-\alpha}

    Parameters, units and theta are those of `SaturatingPowerLaw` without E.

    Source: Nezhurina et al. 2025, arXiv:2506.04598, the form of their figures 5 and 12.
    """

    name = "no-floor"
    parameters = ("A", "lnB", "alpha")
    has_floor = False

    def error(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.error`."""
        return self._reducible(theta, x)[0]

    def jacobian(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.jacobian`."""
        return np.stack(self._by_theta(theta, x), axis=-1)

    def columns(self, nodes: Floats, x: Floats) -> tuple[Floats, ...]:
        """See `Law.columns`: the power."""
        return (self._power(nodes, x),)

    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """See `Law.assemble`."""
        return np.column_stack([np.log(coefficients[:, 0]), nodes])

    def describe(self, parameters: Mapping[str, float]) -> str:
        """See `Law.describe`."""
        return power_text(parameters)
