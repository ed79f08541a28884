"""A surface fitted to all cells of one series, and refitted to resamples of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np

from fitting.errors import FitError
from fitting.fit import FitStatus
from fitting.surfaces.descent import LEAST_SQUARES, Problem, descend
from fitting.surfaces.law import Relative, Scales
from fitting.surfaces.projection import starts

if TYPE_CHECKING:
    from fitting.errors import Floats, Masks
    from fitting.surfaces.cells import Cells
    from fitting.surfaces.descent import Loss, Prior, Solutions
    from fitting.surfaces.law import SurfaceLaw

NODES = 700
"""Nodes of the start grid, spread over the non-linear axes."""
STARTS = 4
"""Best nodes from which a search starts."""
LADDER = (np.inf, 32.0, 8.0, 2.0, 1.0)
"""delta of a Huber loss, relative to what was asked for, in successive searches."""
SAME_LOSS = 1e-6
"""Relative difference of two objectives that explain the cells equally well."""
SAME_SURFACE = 1e-3
"""Relative difference of errors at the cells, and 10 times beyond, of one and the same optimum."""
SINGULAR = 1e-9
"""Smallest eigenvalue of the correlation of the parameters' effects that still determines all."""
AT_ONCE = 250
"""Resamples per block of the bootstrap."""
FARTHEST = 1e4
"""How far outside the measured model sizes an optimum is looked for."""
ZOOMS, PER_ZOOM = 5, 33
"""Rounds of the search for the best size, and sizes tried in each."""


class Optimum(NamedTuple):
    """The best division of a compute between size and samples, for each of b surfaces."""

    gflops_per_sample: Floats
    """(b,); NaN where the error falls towards an end of the range."""
    samples_seen: Floats
    """(b,)."""
    error: Floats
    """(b,)."""


@dataclass(frozen=True, eq=False)
class Surfaces:
    """One law with b parameter vectors: a fit, or its refits."""

    law: SurfaceLaw
    theta: Floats
    """(b, p)."""
    scales: Scales
    sizes: tuple[float, float]
    """Smallest and largest GFLOPs per sample of the cells that were fitted."""

    def __len__(self) -> int:
        """Number of parameter vectors."""
        return len(self.theta)

    def predict(self, gflops_per_sample: Floats, samples_seen: Floats) -> Floats:
        """Error (b, n) at models of these sizes (n,) after so many samples (n,)."""
        at = Relative(
            np.asarray(gflops_per_sample, dtype=np.float64) / self.scales.size,
            np.asarray(samples_seen, dtype=np.float64) / self.scales.samples,
        )
        return self.law.error(self.theta, at)

    def optimum(self, compute: float, within: tuple[float, float] | None = None) -> Optimum:
        """The size and samples of least error whose product is `compute` GFLOPs.

        `within` bounds the GFLOPs per sample, ends included; without it an optimum at an end of
        the search, `FARTHEST` beyond the measured sizes, is none and NaN.
        """
        widest = self.sizes[0] / FARTHEST, self.sizes[1] * FARTHEST
        low, high = np.log(within or widest)
        start, stop = np.full(len(self), low), np.full(len(self), high)
        row = np.arange(len(self))
        for _ in range(ZOOMS):
            ln_size = np.linspace(start, stop, PER_ZOOM, axis=1)
            error = self.predict(np.exp(ln_size), compute * np.exp(-ln_size))
            best = error.argmin(axis=1)
            start = ln_size[row, np.maximum(best - 1, 0)]
            stop = ln_size[row, np.minimum(best + 1, PER_ZOOM - 1)]
        found, least = ln_size[row, best], error[row, best]
        if within is None:
            is_end = (found <= low + 1e-3) | (found >= high - 1e-3)
            found, least = np.where(is_end, np.nan, found), np.where(is_end, np.nan, least)
        return Optimum(np.exp(found), compute * np.exp(-found), least)


@dataclass(frozen=True, eq=False)
class SurfaceFit:
    """A law of two variables with the parameters that fit the cells best."""

    best: Surfaces
    """One parameter vector."""
    cells: Cells
    loss: Loss
    prior: Prior | None
    objective: float
    """Sum over cells of the loss, and of the prior."""
    status: FitStatus
    at_bound: tuple[str, ...]

    @property
    def law(self) -> SurfaceLaw:
        """The law."""
        return self.best.law

    @property
    def parameters(self) -> dict[str, float]:
        """The law's parameters under their published names."""
        return self.law.to_parameters(self.best.theta[0], self.best.scales)

    @property
    def is_determined(self) -> bool:
        """Whether there is one optimum, so that predictions mean something."""
        return self.status not in (FitStatus.AMBIGUOUS, FitStatus.NOT_CONVERGED)

    @property
    def residual(self) -> Floats:
        """Measured minus predicted error of each cell (m,)."""
        return self.cells.error - self.predict(
            self.cells.gflops_per_sample, self.cells.samples_seen
        )

    @property
    def rmse(self) -> float:
        """Root of the mean squared residual, whatever loss was minimised."""
        return float(np.sqrt(np.mean(self.residual**2)))

    @property
    def degrees_of_freedom(self) -> int:
        """Cells minus parameters; one at a bound is counted, which errs to the wide side."""
        return len(self.cells) - len(self.law.parameters)

    @property
    def scatter(self) -> float:
        """Standard deviation of a cell about the law, for its degrees of freedom."""
        return float(np.sqrt(np.sum(self.residual**2) / self.degrees_of_freedom))

    def predict(self, gflops_per_sample: Floats, samples_seen: Floats) -> Floats:
        """Error (n,) at models of these sizes (n,) after so many samples (n,)."""
        error: Floats = self.best.predict(gflops_per_sample, samples_seen)[0]
        return error

    def refit(self, refits: int, seed: int) -> Surfaces:
        """Fit the law again to `refits` resamples of the cells, drawn with replacement.

        Each search starts at the optimum of all cells. The random stream depends on `seed` and on
        the measured errors, so neither the order of cells nor the name of a family matters.
        """
        generator = np.random.default_rng([seed, crc32(self.cells.error.tobytes())])
        size = len(self.cells)
        weight = generator.multinomial(size, np.full(size, 1 / size), size=refits)
        blocks = [weight[start : start + AT_ONCE] for start in range(0, refits, AT_ONCE)]
        theta = [
            _search(
                self._problem(block.astype(np.float64)),
                np.repeat(self.best.theta, len(block), axis=0),
            ).theta
            for block in blocks
        ]
        return Surfaces(self.law, np.concatenate(theta), self.best.scales, self.best.sizes)

    def _problem(self, weight: Floats) -> Problem:
        at = _relative(self.cells, self.best.scales)
        return Problem(self.law, at, self.cells.error, weight, self.loss, self.prior)


def fit_surface(
    law: SurfaceLaw, cells: Cells, *, loss: Loss = LEAST_SQUARES, prior: Prior | None = None
) -> SurfaceFit:
    """Fit `law` to all `cells`; their order and units do not matter.

    Raises `FitError` if they are too few, too much alike, or at chance.
    """
    cells.check(len(law.parameters))
    scales = Scales(
        float(np.exp(np.mean(np.log(cells.gflops_per_sample)))),
        float(np.exp(np.mean(np.log(cells.samples_seen)))),
    )
    at = _relative(cells, scales)
    # Relative errors, to first order, are the residuals of a loss in logarithms.
    weight = cells.error[None] ** -2 if loss.in_logs else np.ones((1, len(cells)))
    axes = len(law.nodes(at, 1)[0])
    nodes = law.nodes(at, round(NODES ** (1 / axes)))
    start = starts(law, at, cells.error, weight, nodes=nodes, keep=STARTS)[0]
    problem = Problem(law, at, cells.error, np.ones((STARTS, len(cells))), loss, prior)
    found = _search(problem, start)
    best = int(found.objective.argmin())
    at_bound = _at_bound(problem, found.theta[best])
    sizes = float(cells.gflops_per_sample.min()), float(cells.gflops_per_sample.max())
    return SurfaceFit(
        best=Surfaces(law, found.theta[best : best + 1], scales, sizes),
        cells=cells,
        loss=loss,
        prior=prior,
        objective=float(found.objective[best]),
        status=_status(problem, found, at_bound),
        at_bound=tuple(np.array(law.parameters)[at_bound]),
    )


def _relative(cells: Cells, scales: Scales) -> Relative:
    return Relative(cells.gflops_per_sample / scales.size, cells.samples_seen / scales.samples)


def _search(problem: Problem, theta: Floats) -> Solutions:
    """Descend, for a Huber loss along `LADDER`: its own landscape is flat far from the optimum."""
    loss = problem.loss
    for factor in LADDER if loss.delta < np.inf else (1.0,):
        softened = Problem(
            problem.law,
            problem.at,
            problem.error,
            problem.weight,
            loss.times(factor),
            problem.prior,
        )
        found = descend(softened, theta)
        theta = found.theta
    return found


def _at_bound(problem: Problem, theta: Floats) -> Masks:
    """Which entries lie at an end of their range (p,); fixed ones do not count."""
    low, high = problem.law.bounds(problem.at, problem.error)
    return (low < high) & ((theta - low < 1e-6) | (high - theta < 1e-6))


def _status(problem: Problem, found: Solutions, at_bound: Masks) -> FitStatus:
    best = int(found.objective.argmin())
    if not found.converged[best]:
        return FitStatus.NOT_CONVERGED
    law, at = problem.law, problem.at
    equals = found.theta[found.objective <= found.objective[best] * (1 + SAME_LOSS)]
    beyond = Relative(10 * at.size, 10 * at.samples)
    for place in (at, beyond):
        errors = law.error(equals, place)
        if np.max(np.ptp(errors, axis=0) / errors[0]) > SAME_SURFACE:
            return FitStatus.AMBIGUOUS
    low, high = law.bounds(at, problem.error)
    free = ~at_bound & (low < high)
    jacobian = law.jacobian(found.theta[best : best + 1], at)[0][:, free]
    norms = np.linalg.norm(jacobian, axis=0)
    effects = jacobian / np.where(norms > 0, norms, 1.0)
    if np.linalg.eigvalsh(effects.T @ effects)[0] < SINGULAR:
        return FitStatus.AMBIGUOUS
    return FitStatus.AT_BOUND if at_bound.any() else FitStatus.CONVERGED


__all__ = ["FitError", "Optimum", "SurfaceFit", "Surfaces", "fit_surface"]
