"""What a law is: error as a function of compute, in a form that a batched solver can search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fitting.errors import gflops_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats
    from fitting.loss import Loss

ALPHA_RANGE = (0.02, 2.0)
"""Published exponents of error against compute lie between 0.1 and 0.8."""
BELOW_SMALLEST = 5.0
"""ln of how far B may lie below the smallest compute: further down it has no effect."""


class Law(ABC):
    """A family of curves error(compute), evaluated for many parameter vectors at once.

    Two sets of coordinates are told apart. **Parameters** carry the published names and units and
    are what people read. **theta** is what the solver moves: relative to a reference compute
    `scale` (GFLOPs), so that all entries are of order one and no result depends on the unit of
    compute. Entry i of theta governs the parameter `parameters[i]`; that of `alpha` is ln alpha,
    that of `E` is E itself.

    Shapes: b parameter vectors, n points, g grid nodes, p parameters, q of them non-linear,
    k linear. x is compute / `scale`, without unit, (n,) or (b, n).
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    has_floor: ClassVar[bool]
    """Whether the last of `columns` is that of E, the error that compute does not remove."""
    needs_chance: ClassVar[bool] = False
    """Whether the law starts from the error of a model that has learned nothing."""
    own_loss: ClassVar[Loss | None] = None
    """The loss that is part of the law's definition; None leaves it to the caller."""

    def anchored_at(self, chance_error: float) -> Law:
        """The same law for a task at whose chance level the error is `chance_error`."""
        return self

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

    def offset(self, nodes: Floats, x: Floats) -> Floats | None:
        """What the law is at a node without its columns, (g, n); None is 0."""
        return None

    @abstractmethod
    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """theta (b, p) from nodes (b, q) and the coefficients (b, k) of their columns."""

    @abstractmethod
    def to_parameters(self, theta: Floats, scale: float) -> dict[str, float]:
        """Published parameters of one theta (p,)."""

    @abstractmethod
    def from_parameters(self, parameters: Mapping[str, float], scale: float) -> Floats:
        """Inverse of `to_parameters`, (p,)."""

    def published(self, theta: Floats, scale: float) -> dict[str, float]:
        """`to_parameters` and those that follow from them, such as the A of an anchored law."""
        return self.to_parameters(theta, scale)

    @abstractmethod
    def describe(self, parameters: Mapping[str, float]) -> str:
        """The law with its numbers, for a legend; `parameters` as `published` gives them."""


def limits(
    names: tuple[str, ...], x: Floats, lowest: Floats, *, factor: bool
) -> tuple[Floats, Floats]:
    """`Law.bounds` of the entries `names`, after an unbounded one of a factor if there is one.

    E lies between 0 and the smallest error seen.
    """
    ln_alpha, ln_x = np.log(ALPHA_RANGE), np.log([x.min(), x.max()])
    ranges = {
        "lnB": (ln_x[0] - BELOW_SMALLEST, ln_x[1]),
        "alpha": (ln_alpha[0], ln_alpha[1]),
        "E": (0.0, np.nan),
    }
    each = ([(-np.inf, np.inf)] if factor else []) + [ranges[name] for name in names]
    low, high = np.array(each).T
    high_of_each = np.where(np.isnan(high), lowest[:, None], high)
    return np.tile(low, (len(lowest), 1)), high_of_each


def ln_b_and_alpha(x: Floats, per_axis: int) -> Floats:
    """`Law.nodes` over ln b and ln alpha."""
    ln_b = np.linspace(np.log(x.min()) - BELOW_SMALLEST, np.log(x.max()), per_axis)
    grid = np.meshgrid(ln_b, ln_alphas(per_axis)[:, 0], indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 2)


def ln_alphas(per_axis: int) -> Floats:
    """`Law.nodes` over ln alpha alone."""
    low, high = ALPHA_RANGE
    return np.linspace(np.log(low), np.log(high), per_axis)[:, None]


def factor_text(factor: float) -> str:
    """A factor of a law to three digits."""
    return f"{factor:#.3g}".rstrip(".") if 0.01 <= factor < 1000 else gflops_text(factor)


def power_text(parameters: Mapping[str, float]) -> str:
    """A (C + B)^-alpha with its numbers."""
    b = gflops_text(np.exp(parameters["lnB"]))
    return f"{factor_text(parameters['A'])} (C + {b})^-{parameters['alpha']:.3f}"
