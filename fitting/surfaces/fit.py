"""A surface fitted to all cells of one series, and refitted to resamples of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from fitting.errors import FitError
from fitting.fit import FitStatus
from fitting.loss import LEAST_SQUARES, Loss
from fitting.surfaces.descent import Problem, descend
from fitting.surfaces.law import Relative, Scales
from fitting.surfaces.projection import best_nodes
from fitting.surfaces.resample import draw
from fitting.surfaces.surfaces import Surfaces

if TYPE_CHECKING:
    from fitting.errors import Floats, Masks
    from fitting.prior import Penalty
    from fitting.surfaces.cells import Cells
    from fitting.surfaces.descent import Solutions
    from fitting.surfaces.law import SurfaceLaw

NODES = 700
"""Nodes of the start grid, spread over the non-linear axes."""
STARTS = 4
"""Best nodes from which a search starts."""
SAME_LOSS = 1e-6
"""Relative difference of two costs that explain the cells equally well."""
SAME_SURFACE = 1e-3
"""Relative difference of errors at the cells, and 10 times beyond, of one and the same optimum."""
SINGULAR = 1e-9
"""Smallest eigenvalue of the correlation of the parameters' effects that still determines all."""
AT_ONCE = 250
"""Resamples per block of the bootstrap."""


@dataclass(frozen=True, eq=False)
class SurfaceFit:
    """A law of two variables with the parameters that fit the cells best."""

    best: Surfaces
    """One parameter vector."""
    cells: Cells
    loss: Loss
    penalty: Penalty | None
    cost: float
    """Sum over cells of the loss, plus the penalty of the prior."""
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

    def scatter(self, predicted: Floats) -> Floats:
        """Standard deviation of single cells about the law where it predicts these errors (n,).

        The same everywhere for a loss of raw residuals, in proportion for one in logarithms.
        """
        residual = self.loss.residual(self.cells.error - self.residual, self.cells.error)
        deviation = float(np.sqrt(np.sum(residual**2) / self.degrees_of_freedom))
        return deviation * (predicted if self.loss.in_logs else np.ones_like(predicted))

    def predict(self, gflops_per_sample: Floats, samples_seen: Floats) -> Floats:
        """Error (n,) at models of these sizes (n,) after so many samples (n,)."""
        error: Floats = self.best.predict(gflops_per_sample, samples_seen)[0]
        return error

    def refit(self, refits: int, seed: int) -> Surfaces:
        """Fit the law again to `refits` resamples of the cells; see `fitting.surfaces.resample`.

        A prior is drawn anew for each, so that what it leaves open shows. The random stream
        depends on `seed` and on the measured errors, so neither the order of cells nor the name
        of a family matters.
        """
        generator = np.random.default_rng([seed, crc32(self.cells.error.tobytes())])
        weight = draw(self.cells, refits, generator)
        return self.refit_to(weight, generator)

    def refit_to(self, weight: Floats, generator: np.random.Generator | None = None) -> Surfaces:
        """Fit the law again to resamples that hold each cell `weight` (b, m) times.

        Each search starts at the optimum of all cells. A prior is drawn anew for each by
        `generator`, and kept without one.
        """
        refits, penalty = len(weight), self.penalty
        if penalty is not None and generator is not None:
            penalty = penalty.drawn(refits, generator)
        at = relative(self.cells, self.best.scales)
        whole = Problem(self.law, at, self.cells.error, weight, self.loss, penalty)
        theta = [
            _search(whole.take(rows), np.repeat(self.best.theta, len(rows), axis=0)).theta
            for rows in np.split(np.arange(refits), range(AT_ONCE, refits, AT_ONCE))
        ]
        return Surfaces(self.law, np.concatenate(theta), self.best.scales, self.best.sizes)


def fit_surface(
    law: SurfaceLaw, cells: Cells, *, loss: Loss = LEAST_SQUARES, penalty: Penalty | None = None
) -> SurfaceFit:
    """Fit `law` to all `cells`; their order and units do not matter.

    Raises `FitError` if they are too few, too much alike, or at chance.
    """
    cells.check(len(law.parameters))
    if loss.in_logs and cells.error.min() <= 0:
        raise FitError("a loss in logarithms needs errors above 0; the smallest is 0")
    scales = Scales(
        float(np.exp(np.mean(np.log(cells.gflops_per_sample)))),
        float(np.exp(np.mean(np.log(cells.samples_seen)))),
    )
    at = relative(cells, scales)
    # Relative errors, to first order, are the residuals of a loss in logarithms.
    weight = cells.error**-2 if loss.in_logs else np.ones(len(cells))
    axes = len(law.nodes(at, 1)[0])
    nodes = law.nodes(at, round(NODES ** (1 / axes)))
    start = best_nodes(law, at, cells.error, weight, nodes, keep=STARTS)
    problem = Problem(law, at, cells.error, np.ones((STARTS, len(cells))), loss, penalty)
    found = _search(problem, start)
    best = int(found.cost.argmin())
    at_bound = _at_bound(problem, found.theta[best])
    sizes = float(cells.gflops_per_sample.min()), float(cells.gflops_per_sample.max())
    return SurfaceFit(
        best=Surfaces(law, found.theta[best : best + 1], scales, sizes),
        cells=cells,
        loss=loss,
        penalty=penalty,
        cost=float(found.cost[best]),
        status=_status(problem, found, at_bound),
        at_bound=tuple(np.array(law.parameters)[at_bound]),
    )


def relative(cells: Cells, scales: Scales) -> Relative:
    """The cells in the coordinates of a law."""
    return Relative(cells.gflops_per_sample / scales.size, cells.samples_seen / scales.samples)


def _search(problem: Problem, theta: Floats) -> Solutions:
    """Descend, for a Huber loss by way of easier ones: its own is flat far from the optimum."""
    found = descend(replace(problem, loss=Loss(problem.loss.in_logs)), theta)
    for loss in problem.loss.annealed():
        found = descend(replace(problem, loss=loss), found.theta)
    return found


def _at_bound(problem: Problem, theta: Floats) -> Masks:
    """Which entries lie at an end of their range (p,); fixed ones do not count."""
    low, high = problem.law.bounds(problem.at, problem.error)
    return (low < high) & ((theta - low < 1e-6) | (high - theta < 1e-6))


def _status(problem: Problem, found: Solutions, at_bound: Masks) -> FitStatus:
    best = int(found.cost.argmin())
    if not found.converged[best]:
        return FitStatus.NOT_CONVERGED
    law, at = problem.law, problem.at
    equals = found.theta[found.cost <= found.cost[best] * (1 + SAME_LOSS)]
    beyond = Relative(10 * at.size, 10 * at.samples)
    for place in (at, beyond):
        errors = law.error(equals, place)
        if np.max(np.ptp(errors, axis=0) / errors[0]) > SAME_SURFACE:
            return FitStatus.AMBIGUOUS
    low, high = law.bounds(at, problem.error)
    free = ~at_bound & (low < high)
    jacobian = law.jacobian(found.theta[best : best + 1], at)[0][:, free]
    if problem.penalty is not None:
        # What the prior says of a parameter is one more residual.
        jacobian = np.concatenate([jacobian, np.diag(np.sqrt(problem.penalty.precision))[:, free]])
    norms = np.linalg.norm(jacobian, axis=0)
    effects = jacobian / np.where(norms > 0, norms, 1.0)
    if np.linalg.eigvalsh(effects.T @ effects)[0] < SINGULAR:
        return FitStatus.AMBIGUOUS
    return FitStatus.AT_BOUND if at_bound.any() else FitStatus.CONVERGED
