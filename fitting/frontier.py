"""The frontier: the best error reached at each compute, and a count of what was left out of it.

A method is a function of many resamples of one series at once, so that a bootstrap that takes the
frontier again costs little more than one frontier. Those that choose among cells by compute and
error are in `fitting.frontier_methods`. To add one that needs more, or that moves cells,
`register` a function of `Cells`, as `fitting.surfaces.model_frontier` is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fitting.errors import FitError
from fitting.frontier_methods import METHODS, Method, pareto

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats, Integers, Masks

BEATEN = "a cell that costs no more has no larger error"
NOT_BEST_OF_BIN = "not the best of its compute bin"
ABOVE_HULL = "above the line between two cells of the frontier"


class Cells(NamedTuple):
    """What a method may know of the m cells of a series."""

    gflops: Floats
    error: Floats
    samples_seen: Floats | None = None
    """None where it was not given."""
    chance_error: float | None = None
    """Error of a model that has learned nothing; None where nobody knows."""
    is_fraction: bool = True
    """Whether an error lies in [0, 1]; else it is a loss."""

    @property
    def gflops_per_sample(self) -> Floats:
        """Forward compute of one sample; raises `FitError` without samples seen."""
        if self.samples_seen is None:
            raise FitError("this frontier needs the samples seen of every cell")
        return self.gflops / self.samples_seen

    @property
    def order(self) -> Integers:
        """Where the cells stand by ascending compute, then error, then samples seen (m,)."""
        seen = np.zeros(len(self.error)) if self.samples_seen is None else self.samples_seen
        return np.lexsort((seen, self.error, self.gflops))

    def take(self, rows: Integers | Masks) -> Cells:
        """Some of the cells."""
        seen = None if self.samples_seen is None else self.samples_seen[rows]
        return self._replace(gflops=self.gflops[rows], error=self.error[rows], samples_seen=seen)


Curve = Callable[["Floats"], "Floats"]
"""Error (t,) at compute (t,) in GFLOPs."""


class Chosen(NamedTuple):
    """The frontiers of b resamples."""

    weight: Floats
    """How often each cell counts as a point of it (b, m), 0 where it is none."""
    error: Floats
    """Their error there (m,) or (b, m): what was measured, unless the method moves cells."""
    left_out: str = ""
    """Why the cells of weight 0 are no points, if the method leaves any out and moves the rest."""
    model: Curve | None = None
    """The frontier of the model itself that moved the cells, of all of them."""


Model = Callable[["Cells", "Floats", "np.random.Generator | None"], Chosen]
"""(cells, how often each resample holds each (b, m), generator) -> the frontiers.

Without a generator nothing may be random. `Chosen.weight` counts a cell as often as it was drawn
if the method keeps more than the best.
"""

MODELS: dict[str, Model] = {}
"""Methods that need more than compute and error, or move cells to the frontier."""


def register(name: str, method: Model) -> None:
    """Make `method` known as `name`."""
    MODELS[name] = method


@dataclass(frozen=True)
class Frontier:
    """The points on the frontier of one series, by ascending compute."""

    gflops: Floats
    error: Floats
    index: Integers
    """Where each point stands in the arrays that were given."""
    left_out: Mapping[str, int]
    """How many points were left out, by reason."""
    model: Curve | None = None
    """The frontier of the model itself, where one moved the points to it."""

    def __len__(self) -> int:
        """Number of points."""
        return len(self.index)


def frontier(
    method: str, gflops: Floats, error: Floats, samples_seen: Floats | None = None
) -> Frontier:
    """`frontier_of` cells of which nothing else is known."""
    return frontier_of(method, Cells(gflops, error, samples_seen))


def frontier_of(method: str, cells: Cells) -> Frontier:
    """The frontier of one series by a registered method; the order of the cells is irrelevant.

    Raises `FitError` if the method is unknown or lacks something.
    """
    order = cells.order
    cells = cells.take(order)
    found = choose(method, cells, np.ones((1, len(order))))
    chosen = found.weight[0] > 0
    error = np.broadcast_to(found.error, found.weight.shape)[0]
    left_out = _left_out(method, cells, chosen, found.left_out)
    return Frontier(cells.gflops[chosen], error[chosen], order[chosen], left_out, found.model)


def _left_out(method: str, cells: Cells, chosen: Masks, reason: str) -> dict[str, int]:
    """How many cells were not chosen, by reason."""
    if reason:
        counts = {reason: int(np.sum(~chosen))}
    else:
        everything = np.ones((1, len(chosen)), dtype=bool)
        undominated = pareto(cells.gflops, cells.error, everything)[0]
        other = ABOVE_HULL if method == "hull" else NOT_BEST_OF_BIN
        counts = {
            BEATEN: int(np.sum(~chosen & ~undominated)),
            other: int(np.sum(~chosen & undominated)),
        }
    return {reason: count for reason, count in counts.items() if count}


def choose(
    method: str, cells: Cells, drawn: Floats, generator: np.random.Generator | None = None
) -> Chosen:
    """The frontiers of resamples of `cells`; `drawn` (b, m) says how often each holds each cell.

    Raises `FitError` if the method is unknown or lacks something.
    """
    if method in MODELS:
        return MODELS[method](cells, drawn, generator)
    on_frontier = method_named(method)(cells.gflops, cells.error, drawn > 0)
    return Chosen(on_frontier.astype(np.float64), cells.error)


def check_method(name: str) -> None:
    """Raise a `FitError` that lists the methods there are, if `name` is none of them."""
    if name not in METHODS and name not in MODELS:
        known = ", ".join(sorted([*METHODS, *MODELS]))
        raise FitError(f"unknown frontier {name!r} (known: {known})")


def method_named(name: str) -> Method:
    """The registered method that chooses among cells, or a `FitError` that lists those there are.

    See also `choose`, which knows those that need more than compute and error.
    """
    check_method(name)
    if name not in METHODS:
        raise FitError(f"the {name} frontier needs more than compute and error")
    return METHODS[name]


def held_out_frontier(gflops: Floats, error: Floats, max_compute: float) -> Frontier:
    """Points above `max_compute` that no cheaper point, held out or not, beats.

    What a frontier would show beyond the threshold; never given to a method or a fit.
    """
    best = frontier("pareto", gflops, error)
    beyond = best.gflops > max_compute
    beaten = int(np.sum(gflops > max_compute)) - int(np.sum(beyond))
    left_out = {BEATEN: beaten} if beaten else {}
    return Frontier(best.gflops[beyond], best.error[beyond], best.index[beyond], left_out)
