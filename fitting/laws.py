"""Laws: error as a function of compute, in a form that a batched solver can search.

To add a law: subclass `Law`, fill in its methods, and put it into `LAWS`. The contract tests in
`tests/fitting/test_laws.py` then check its gradient, bounds and round trip by themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fitting.errors import FitError, gflops_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats


class Law(ABC):
    """A family of curves error(compute), evaluated for many parameter vectors at once.

    Two sets of coordinates are told apart. **Parameters** carry the published names and units and
    are what people read. **theta** is what the solver moves: relative to a reference compute
    `scale` (GFLOPs), so that all entries are of order one and no result depends on the unit of
    compute. Entry i of theta governs the parameter `parameters[i]`.

    Shapes: b parameter vectors, n points, g grid nodes, p parameters, q of them non-linear,
    k linear. x is compute / `scale`, without unit, (n,) or (b, n).
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    has_floor: ClassVar[bool]
    """Whether the last of `columns` is the error that compute does not remove."""

    @abstractmethod
    def error(self, theta: Floats, x: Floats) -> Floats:
        """Predicted error (b, n) of `theta` (b, p)."""

    @abstractmethod
    def jacobian(self, theta: Floats, x: Floats) -> Floats:
        """Derivative of `error` by theta, (b, n, p)."""

    @abstractmethod
    def bounds(self, x: Floats, lowest: Floats) -> tuple[Floats, Floats]:
        """Lower and upper bound of theta, (b, p) each.

        `x` (n,) are the points of the series, `lowest` (b,) the smallest error of each data set.
        """

    @abstractmethod
    def nodes(self, x: Floats, per_axis: int) -> Floats:
        """A grid over the non-linear entries of theta, (per_axis ** q, q), C order."""

    @abstractmethod
    def columns(self, nodes: Floats, x: Floats) -> tuple[Floats, ...]:
        """Basis functions (g, n), k of them, in which the law is linear at a node.

        All coefficients are positive; that of the floor, if any, may be 0 and stands last.
        """

    @abstractmethod
    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """theta (b, p) from nodes (b, q) and the coefficients (b, k) of their columns."""

    @abstractmethod
    def to_parameters(self, theta: Floats, scale: float) -> dict[str, float]:
        """Published parameters of one theta (p,)."""

    @abstractmethod
    def from_parameters(self, parameters: Mapping[str, float], scale: float) -> Floats:
        """Inverse of `to_parameters`, (p,)."""

    @abstractmethod
    def describe(self, parameters: Mapping[str, float]) -> str:
        """The law with its numbers, for a legend."""


class SaturatingPowerLaw(Law):
    r"""A power law that saturates at both ends.

    .. math:: \mathcal{E}(C) = A\,(C + B)^{-\alpha} + E

    `B` (GFLOPs, reported as its logarithm `lnB`) bends the curve below the compute at which models
    start to learn; `E` is the error that no amount of compute removes; `A` carries GFLOPs^alpha;
    `alpha` has no unit.

    The solver moves theta = (ln R, ln b, ln alpha, E) with b = B / C0, R the reducible error at
    the reference compute C0:  error = E + R ((x + b) / (1 + b))^-alpha,  A = R (C0 + B)^alpha.
    A itself spans decades and is correlated with alpha at 0.99; R is not.

    Source: Nezhurina et al. 2025, arXiv:2506.04598, equation 1.
    """

    name = "saturating"
    parameters = ("A", "lnB", "alpha", "E")
    has_floor = True

    ALPHA_RANGE = (0.02, 2.0)
    """Published exponents of error against compute lie between 0.1 and 0.8."""
    BELOW_SMALLEST = 5.0
    """ln of how far B may lie below the smallest compute: further down it has no effect."""

    def error(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.error`."""
        reducible, _ = self._reducible(theta, x)
        return reducible + theta[..., 3:4]

    def jacobian(self, theta: Floats, x: Floats) -> Floats:
        """See `Law.jacobian`."""
        reducible, log_ratio = self._reducible(theta, x)
        b, alpha = np.exp(theta[..., 1:2]), np.exp(theta[..., 2:3])
        by_ln_b = -alpha * b * (1 / (x + b) - 1 / (1 + b)) * reducible
        by_ln_alpha = -alpha * log_ratio * reducible
        return np.stack([reducible, by_ln_b, by_ln_alpha, np.ones_like(reducible)], axis=-1)

    def _reducible(self, theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        b, alpha = np.exp(theta[..., 1:2]), np.exp(theta[..., 2:3])
        log_ratio = np.log((x + b) / (1 + b))
        return np.exp(theta[..., 0:1] - alpha * log_ratio), log_ratio

    def bounds(self, x: Floats, lowest: Floats) -> tuple[Floats, Floats]:
        """See `Law.bounds`. E lies between 0 and the smallest error seen."""
        ln_low, ln_high = np.log(self.ALPHA_RANGE)
        low = np.array([-np.inf, np.log(x.min()) - self.BELOW_SMALLEST, ln_low, 0.0])
        high = np.array([np.inf, np.log(x.max()), ln_high, np.nan])
        high_of_each = np.tile(high, (len(lowest), 1))
        high_of_each[:, 3] = lowest
        return np.tile(low, (len(lowest), 1)), high_of_each

    def nodes(self, x: Floats, per_axis: int) -> Floats:
        """See `Law.nodes`."""
        ln_b = np.linspace(np.log(x.min()) - self.BELOW_SMALLEST, np.log(x.max()), per_axis)
        lowest, highest = self.ALPHA_RANGE
        ln_alpha = np.linspace(np.log(lowest), np.log(highest), per_axis)
        return np.stack(np.meshgrid(ln_b, ln_alpha, indexing="ij"), axis=-1).reshape(-1, 2)

    def columns(self, nodes: Floats, x: Floats) -> tuple[Floats, ...]:
        """See `Law.columns`: the power and the constant."""
        b, alpha = np.exp(nodes[:, 0:1]), np.exp(nodes[:, 1:2])
        power = np.exp(-alpha * np.log((x + b) / (1 + b)))
        return power, np.ones_like(power)

    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """See `Law.assemble`."""
        return np.column_stack([np.log(coefficients[:, 0]), nodes, coefficients[:, 1]])

    def to_parameters(self, theta: Floats, scale: float) -> dict[str, float]:
        """See `Law.to_parameters`."""
        ln_r, ln_b, ln_alpha, floor = (float(value) for value in theta)
        alpha = float(np.exp(ln_alpha))
        ln_a = ln_r + alpha * (np.log(scale) + np.log1p(np.exp(ln_b)))
        return {
            "A": float(np.exp(ln_a)),
            "lnB": ln_b + float(np.log(scale)),
            "alpha": alpha,
            "E": floor,
        }

    def from_parameters(self, parameters: Mapping[str, float], scale: float) -> Floats:
        """See `Law.from_parameters`."""
        ln_b, alpha = parameters["lnB"] - np.log(scale), parameters["alpha"]
        ln_r = np.log(parameters["A"]) - alpha * (np.log(scale) + np.log1p(np.exp(ln_b)))
        return np.array([ln_r, ln_b, np.log(alpha), parameters["E"]])

    def describe(self, parameters: Mapping[str, float]) -> str:
        """See `Law.describe`."""
        factor, b = parameters["A"], gflops_text(np.exp(parameters["lnB"]))
        shown = f"{factor:#.3g}".rstrip(".") if 0.01 <= factor < 1000 else gflops_text(factor)
        return f"{shown} (C + {b})^-{parameters['alpha']:.3f} + {parameters['E']:.3f}"


LAWS: dict[str, Law] = {law.name: law for law in (SaturatingPowerLaw(),)}


def law_named(name: str) -> Law:
    """The registered law, or a `FitError` that lists those there are."""
    if name not in LAWS:
        raise FitError(f"unknown law {name!r} (known: {', '.join(sorted(LAWS))})")
    return LAWS[name]
