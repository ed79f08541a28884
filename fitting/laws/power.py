"""Laws that do not bend at small compute: with a floor, without, and the log-log line."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fitting.laws.base import Law, factor_text, limits, ln_alphas
from fitting.loss import LOG_LEAST_SQUARES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats


class PowerLaw(Law):
    r"""A straight line in logarithms, fitted by whatever loss is asked for.

    .. math:: \mathcal{E}(C) = A\,C^{-\alpha}

    `A` carries GFLOPs^alpha; `alpha` has no unit. The solver moves theta = (ln R, ln alpha) with
    R = A C0^-alpha, the error at the reference compute:  error = R x^-alpha.

    Source: Cherti et al. 2023, arXiv:2212.07143, E = beta C^alpha.
    """

    name = "power"
    parameters: ClassVar[tuple[str, ...]] = ("A", "alpha")
    has_floor = False

    def error(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.error`."""
        error: Floats = np.exp(theta[..., 0:1] - np.exp(theta[..., 1:2]) * np.log(x))
        return error

    def jacobian(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.jacobian`."""
        power = PowerLaw.error(self, theta, x)
        return np.stack([power, -np.exp(theta[..., 1:2]) * np.log(x) * power], axis=-1)

    def bounds(self, x: Floats, lowest: Floats) -> tuple[Floats, Floats]:
        """See `Law.bounds`."""
        return limits(self.parameters[1:], x, lowest, factor=True)

    def nodes(self, x: Floats, per_axis: int) -> Floats:
        """See `Law.nodes`."""
        return ln_alphas(per_axis)

    def columns(self, nodes: Floats, x: Floats) -> tuple[Floats, ...]:
        """See `Law.columns`: the power."""
        return (np.exp(-np.exp(nodes[:, 0:1]) * np.log(x)),)

    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """See `Law.assemble`."""
        return np.column_stack([np.log(coefficients[:, 0]), nodes])

    def to_parameters(self, theta: Floats, scale: float) -> dict[str, float]:
        """See `Law.to_parameters`."""
        ln_r, ln_alpha, *floor = (float(value) for value in theta)
        alpha = float(np.exp(ln_alpha))
        values = (float(np.exp(ln_r + alpha * np.log(scale))), alpha, *floor)
        return dict(zip(self.parameters, values, strict=True))

    def from_parameters(self, parameters: Mapping[str, float], scale: float) -> Floats:
        """See `Law.from_parameters`."""
        alpha = parameters["alpha"]
        floor = [parameters["E"]] if self.has_floor else []
        ln_r = np.log(parameters["A"]) - alpha * np.log(scale)
        return np.array([ln_r, np.log(alpha), *floor])

    def describe(self, parameters: Mapping[str, float]) -> str:
        """See `Law.describe`."""
        return f"{factor_text(parameters['A'])} C^-{parameters['alpha']:.3f}"


class LineLaw(PowerLaw):
    r"""The power law by ordinary least squares of logarithms, whatever loss is asked for.

    .. math:: \ln \mathcal{E}(C) = \ln A - \alpha \ln C

    Parameters and units are those of `PowerLaw`; the solver reaches the regression line in one
    step, since the residual is linear in ln R and nearly so in ln alpha.
    """

    name = "line"
    own_loss = LOG_LEAST_SQUARES


class NoOffsetLaw(PowerLaw):
    r"""A power law that falls to a floor and does not bend at small compute.

    .. math:: \mathcal{E}(C) = A\,C^{-\alpha} + E

    `E` is the error that no amount of compute removes; the others are those of `PowerLaw`. The
    solver moves theta = (ln R, ln alpha, E). Where frontiers start at chance the plateau there
    forces E to 0.

    Source: Henighan et al. 2020, arXiv:2010.14701, for losses.
    """

    name = "no-offset"
    parameters = ("A", "alpha", "E")
    has_floor = True

    def error(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.error`."""
        return super().error(theta, x) + theta[..., 2:3]

    def jacobian(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.jacobian`."""
        power = super().jacobian(theta, x)
        return np.concatenate([power, np.ones_like(power[..., :1])], axis=-1)

    def columns(self, nodes: Floats, x: Floats) -> tuple[Floats, ...]:
        """See `Law.columns`: the power and the constant."""
        (power,) = super().columns(nodes, x)
        return power, np.ones_like(power)

    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """See `Law.assemble`."""
        return np.column_stack([super().assemble(nodes, coefficients), coefficients[:, 1]])

    def describe(self, parameters: Mapping[str, float]) -> str:
        """See `Law.describe`."""
        return f"{super().describe(parameters)} + {parameters['E']:.3f}"
