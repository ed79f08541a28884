"""The law L(N, D) of language models, for losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitting.surfaces.law import Basis, SurfaceLaw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats
    from fitting.surfaces.law import Relative, Scales


class Chinchilla(SurfaceLaw):
    r"""Two power laws and a floor.

    .. math:: L(N, D) = E + A / N^\alpha + B / D^\beta

    N is model size (GFLOPs per sample, or parameters, or whatever the cells carry), D samples (or
    tokens) seen; `E` is the loss of a model of any size on any amount of data. It is for losses:
    an error that is a fraction saturates at chance, which this law does not.

    theta = (E, A / N0^alpha, B / D0^beta, alpha, beta) with the reference (N0, D0): the first
    three are the parts of the loss at the reference, in which the law is linear.

    Source: Hoffmann et al. 2022, arXiv:2203.15556, approach 3. That search stopped short of its
    optimum (Besiroglu et al. 2024, arXiv:2404.10102), hence variable projection here.
    """

    name = "chinchilla"
    parameters = ("E", "A", "B", "alpha", "beta")
    longest_step = np.array([np.inf, np.inf, np.inf, 0.3, 0.3])

    EXPONENTS = (0.02, 2.0)
    """Published exponents of loss against size or data lie between 0.1 and 0.8."""

    def error(self, theta: Floats, at: Relative) -> Floats:
        """See `SurfaceLaw.error`."""
        of_size, of_samples = self._parts(theta, at)
        return theta[:, 0:1] + of_size + of_samples

    def jacobian(self, theta: Floats, at: Relative) -> Floats:
        """See `SurfaceLaw.jacobian`."""
        ln_size, ln_samples = np.log(at.size), np.log(at.samples)
        by_a, by_b = np.exp(-theta[:, 3:4] * ln_size), np.exp(-theta[:, 4:5] * ln_samples)
        columns = [
            np.ones_like(by_a),
            by_a,
            by_b,
            -theta[:, 1:2] * by_a * ln_size,
            -theta[:, 2:3] * by_b * ln_samples,
        ]
        return np.stack(columns, axis=-1)

    def _parts(self, theta: Floats, at: Relative) -> tuple[Floats, Floats]:
        return (
            theta[:, 1:2] * np.exp(-theta[:, 3:4] * np.log(at.size)),
            theta[:, 2:3] * np.exp(-theta[:, 4:5] * np.log(at.samples)),
        )

    def bounds(self, at: Relative, error: Floats) -> tuple[Floats, Floats]:
        """See `SurfaceLaw.bounds`. E lies between 0 and the smallest loss seen."""
        least, most = self.EXPONENTS
        low = np.array([0.0, 0.0, 0.0, least, least])
        return low, np.array([error.min(), np.inf, np.inf, most, most])

    def nodes(self, at: Relative, per_axis: int) -> Floats:
        """See `SurfaceLaw.nodes`."""
        exponents = np.geomspace(*self.EXPONENTS, per_axis)
        return np.stack(np.meshgrid(exponents, exponents, indexing="ij"), -1).reshape(-1, 2)

    def basis(self, nodes: Floats, at: Relative) -> Basis:
        """See `SurfaceLaw.basis`."""
        of_size = np.exp(-nodes[:, 0:1] * np.log(at.size))
        of_samples = np.exp(-nodes[:, 1:2] * np.log(at.samples))
        return Basis(np.zeros_like(of_size), (np.ones_like(of_size), of_size, of_samples))

    def assemble(self, nodes: Floats, coefficients: Floats) -> Floats:
        """See `SurfaceLaw.assemble`."""
        return np.column_stack([coefficients, nodes])

    def to_parameters(self, theta: Floats, scales: Scales) -> dict[str, float]:
        """See `SurfaceLaw.to_parameters`."""
        floor, of_size, of_samples, alpha, beta = (float(value) for value in theta)
        return {
            "E": floor,
            "A": of_size * scales.size**alpha,
            "B": of_samples * scales.samples**beta,
            "alpha": alpha,
            "beta": beta,
        }

    def from_parameters(self, parameters: Mapping[str, float], scales: Scales) -> Floats:
        """See `SurfaceLaw.from_parameters`."""
        alpha, beta = parameters["alpha"], parameters["beta"]
        of_size = parameters["A"] * scales.size**-alpha
        of_samples = parameters["B"] * scales.samples**-beta
        return np.array([parameters["E"], of_size, of_samples, alpha, beta])

    def describe(self, parameters: Mapping[str, float]) -> str:
        """See `SurfaceLaw.describe`."""
        floor, a, b, alpha, beta = (parameters[name] for name in self.parameters)
        return f"{floor:.4g} + {a:.4g} / N^{alpha:.3f} + {b:.4g} / D^{beta:.3f}"
