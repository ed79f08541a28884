"""What a law of two variables is: error as a function of model size and samples seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats


class Relative(NamedTuple):
    """Model size and samples seen relative to a reference, so that theta is of order one."""

    size: Floats
    """GFLOPs per sample / reference, (n,) or (b, n)."""
    samples: Floats
    """Samples seen / reference, (n,) or (b, n)."""


class Scales(NamedTuple):
    """The reference: geometric means of the cells that were fitted."""

    size: float
    samples: float


class Basis(NamedTuple):
    """What a law is at fixed non-linear parameters: offset + sum of coefficient x column."""

    offset: Floats
    """(g, n)."""
    columns: tuple[Floats, ...]
    """(g, n) each; their coefficients are not negative."""


class SurfaceLaw(ABC):
    """A family of surfaces error(size, samples), evaluated for many parameter vectors at once.

    As in `fitting.laws.Law`, **parameters** are what people read, **theta** is what the solver
    moves, and entry i of theta governs parameter i. No entry of theta depends on a unit.

    Shapes: b parameter vectors, n cells, g grid nodes, p parameters, q of them non-linear.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    longest_step: ClassVar[Floats]
    """Most that one step of the solver may change each entry of theta, (p,)."""

    @abstractmethod
    def error(self, theta: Floats, at: Relative) -> Floats:
        """Predicted error (b, n) of `theta` (b, p)."""

    @abstractmethod
    def jacobian(self, theta: Floats, at: Relative) -> Floats:
        """Derivative of `error` by theta, (b, n, p)."""

    @abstractmethod
    def bounds(self, at: Relative, error: Floats) -> tuple[Floats, Floats]:
        """Lower and upper bound of theta, (p,) each, for cells with these errors (n,)."""

    @abstractmethod
    def nodes(self, at: Relative, per_axis: int) -> Floats:
        """A grid over the non-linear entries of theta, (g, q)."""

    @abstractmethod
    def basis(self, nodes: Floats, at: Relative) -> Basis:
        """The law at each node, linear in what remains."""

    @abstractmethod
    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """theta (b, p) from nodes (b, q) and the coefficients of their columns (b, k)."""

    @abstractmethod
    def to_parameters(self, theta: Floats, scales: Scales) -> dict[str, float]:
        """Published parameters of one theta (p,)."""

    @abstractmethod
    def from_parameters(self, parameters: Mapping[str, float], scales: Scales) -> Floats:
        """Inverse of `to_parameters`, (p,)."""

    @abstractmethod
    def describe(self, parameters: Mapping[str, float]) -> str:
        """The law with its numbers."""
