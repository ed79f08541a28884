"""Sensitivity: the same comparison under other bins, ties, weights, priors and floors.

Each variant changes one choice of the estimator and keeps the rest. None is better than the
estimator's own choice; where they disagree, the choice decides and not the data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fitting.compare import compare
from fitting.errors import FitError
from fitting.fit import fit
from fitting.frontier_methods import METHODS, best_of_bins
from fitting.loss import LOG_LEAST_SQUARES
from fitting.prior import PRIORS, WEAK, Normal, Prior
from fitting.resample import Refits
from fitting.search import optimum_of_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fitting.compare import Comparison
    from fitting.errors import Floats, Masks
    from fitting.objective import Objective
    from fitting.series_fit import SeriesFit

RANDOM_EDGES = 200
"""Draws of the origin of bins, of a factor of 2 each."""


@dataclass(frozen=True)
class Variant:
    """The comparison under one other choice."""

    factor: str
    """What was changed: frontier, ties, weights, prior, floor or bin edges."""
    choice: str
    crossing_gflops: float | None
    """None if the laws do not cross."""
    overtaker: str | None
    differences: tuple[float, ...]
    """Error of a minus error of b at each target."""
    crossing_range: tuple[float | None, float | None] | None = None
    """Of random bin edges: the interval that holds `level` of the crossings, None where open."""
    difference_ranges: tuple[tuple[float, float], ...] | None = None
    """The same of the difference at each target."""
    reason: str = ""
    """Why the variant could not be fitted; crossing and differences are then empty."""


def sensitivity(
    a: SeriesFit, b: SeriesFit, targets: tuple[float, ...], *, edges: int = RANDOM_EDGES
) -> tuple[Variant, ...]:
    """The comparison of two fitted series at `targets` (GFLOPs) under one other choice each."""
    found = []
    for factor, choice, changed in _variants(a, b):
        try:
            one = compare(changed.refit(a), changed.refit(b), targets)
        except FitError as error:
            found.append(Variant(factor, choice, None, None, (), reason=str(error)))
        else:
            found.append(_variant(factor, choice, one))
    return (*found, _random_edges(a, b, targets, edges))


@dataclass(frozen=True, kw_only=True)
class _Changed:
    """What one variant does to a side."""

    method: str | None = None
    dearest: bool = False
    objective: Objective | None = None

    def refit(self, side: SeriesFit) -> SeriesFit:
        """The side with another fit and without refits."""
        objective = self.objective or side.fit.objective
        found = fit(side.fit.law, *self._points(side), objective)
        return replace(side, fit=found, refits=None)

    def _points(self, side: SeriesFit) -> tuple[Floats, Floats]:
        if self.method is None and not self.dearest:
            return side.fit.gflops, side.fit.measured
        gflops, error, everything = _sorted_cells(side)
        if self.method is not None:
            chosen = METHODS[self.method](gflops, error, everything)[0]
        else:
            number = np.floor(np.log2(gflops))
            chosen = best_of_bins(gflops, error, everything, number, dearest=True)[0]
        return gflops[chosen], error[chosen]


def _variants(a: SeriesFit, b: SeriesFit) -> Iterator[tuple[str, str, _Changed]]:
    for method in sorted(METHODS):
        yield "frontier", method, _Changed(method=method)
    yield "ties", "dearest of equals in bins", _Changed(dearest=True)
    own = a.fit.objective
    plain = replace(own, kappa=0.0)
    yield "weights", "equal", _Changed(objective=plain)
    yield "weights", "power:0.5", _Changed(objective=replace(own, kappa=0.5))
    yield "weights", "log", _Changed(objective=replace(plain, loss=LOG_LEAST_SQUARES))
    if a.series.setting.is_fraction:
        for name, prior in PRIORS.items():
            yield "prior", name, _Changed(objective=replace(own, prior=prior))
    if a.fit.law.has_floor or b.fit.law.has_floor:
        yield "floor", "E = 0", _Changed(objective=replace(own, prior=_no_floor(own.prior)))


def _no_floor(prior: Prior | None) -> Prior:
    """A prior that leaves no room for E and says nothing else than `prior`."""
    ln_alpha = Normal(0.0, 1e6) if prior is None else prior.ln_alpha
    return Prior("E = 0", ln_alpha, Normal(0.0, 1e-6), WEAK.noise)


def _sorted_cells(side: SeriesFit) -> tuple[Floats, Floats, Masks]:
    """Compute and error of the cells by ascending compute, and that all are held (1, m)."""
    cells = side.series.cells
    cells = cells.take(cells.order)
    return cells.gflops, cells.error, np.ones((1, len(cells.error)), dtype=bool)


def _variant(factor: str, choice: str, one: Comparison) -> Variant:
    crossing = one.crossing
    return Variant(
        factor=factor,
        choice=choice,
        crossing_gflops=None if crossing is None else crossing.gflops,
        overtaker=None if crossing is None else crossing.overtaker,
        differences=tuple(at.difference for at in one.better_at),
    )


def _random_edges(a: SeriesFit, b: SeriesFit, targets: tuple[float, ...], edges: int) -> Variant:
    """Bins of a factor of 2 from random origins, the same for both sides."""
    origins = np.random.default_rng(0).random(edges)
    try:
        one = compare(_binned(a, origins), _binned(b, origins), targets)
    except FitError as error:
        return Variant("bin edges", "random", None, None, (), reason=str(error))
    found = _variant("bin edges", f"random, {edges} draws", one)
    crossing = one.crossing
    return replace(
        found,
        crossing_range=None if crossing is None else (crossing.low, crossing.high),
        difference_ranges=tuple((at.low, at.high) for at in one.better_at),
    )


def _binned(side: SeriesFit, origins: Floats) -> SeriesFit:
    """The side with a fit for each origin in place of its refits."""
    gflops, error, everything = _sorted_cells(side)
    masks: Masks = np.concatenate(
        [
            best_of_bins(gflops, error, everything, np.floor(np.log2(gflops) + origin))
            for origin in origins
        ]
    )
    own = side.fit
    cells = gflops / own.scale, error
    penalty = own.objective.penalty(own.law)
    found, exists = optimum_of_each(
        own.law, cells, masks.astype(np.float64), own.objective, penalty
    )
    if not exists.all():
        raise FitError(f"{int(np.sum(~exists))} of {len(masks)} binned frontiers do not fall")
    return replace(side, refits=Refits(own.law, found.theta, own.scale, 0))
