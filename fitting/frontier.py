"""The frontier: the best error reached at each compute, and a count of what was left out of it.

A method is a function of many resamples of one series at once, so that a bootstrap that takes the
frontier again costs little more than one frontier. To add one that chooses among cells, write a
function of their compute and error and put `@_register` before it. To add one that needs more, or
that moves cells, `register` a function of `Cells`, as `fitting.surfaces.model_frontier` is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fitting.errors import FitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.errors import Floats, Integers, Masks

Method = Callable[["Floats", "Floats", "Masks"], "Masks"]
"""(compute (m,), error (m,), which cells each resample holds (b, m)) -> on the frontier (b, m)."""

METHODS: dict[str, Method] = {}
"""Methods that choose among cells by compute and error."""

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


def _register(method: Method) -> Method:
    METHODS[method.__name__] = method
    return method


@_register
def pareto(gflops: Floats, error: Floats, held: Masks) -> Masks:
    """Cells that no cell of the same or less compute equals or beats."""
    order = np.lexsort((error, gflops))
    on_frontier = np.zeros_like(held)
    on_frontier[:, order] = _lowers_the_minimum(error[order], held[:, order])
    return on_frontier


@_register
def bins(gflops: Floats, error: Floats, held: Masks) -> Masks:
    """The best cell of each factor of 2 in compute, where it lowers the error of all cheaper ones.

    Bins start at powers of 2 GFLOPs whatever the data, so that adding a cell moves no bin. Of
    cells with equal error the cheapest is taken.
    """
    return best_of_bins(gflops, error, held, np.floor(np.log2(gflops)))


def best_of_bins(
    gflops: Floats, error: Floats, held: Masks, number: Floats, *, dearest: bool = False
) -> Masks:
    """The best cell of each bin, where it lowers the error of all cheaper ones.

    `number` (m,) is the bin of each cell and ascends with compute; of equals in a bin the cheapest
    is taken, or the dearest.
    """
    order = np.lexsort((-gflops if dearest else gflops, error, number))
    best = np.zeros_like(held)
    best[:, order] = _first_of_each_bin(number[order], held[:, order])
    return pareto(gflops, error, best)


@_register
def hull(gflops: Floats, error: Floats, held: Masks) -> Masks:
    """The lower convex hull of ln error over ln compute, from the cheapest cell to the best one.

    A power law is a straight line there, one with a floor convex, one that bends at small compute
    concave: at that end only the corners are kept. An error of 0 counts as the smallest positive
    number.
    """
    undominated = pareto(gflops, error, held)
    used = np.flatnonzero(undominated.any(axis=0))
    order = used[np.argsort(gflops[used], kind="stable")]
    x, y = np.log(gflops[order]), np.log(np.maximum(error[order], np.finfo(float).tiny))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (y[None, :] - y[:, None]) / (x[None, :] - x[:, None])
    before = x[None, :] > x[:, None]
    on_frontier = np.zeros_like(held)
    for row, mask in enumerate(undominated[:, order]):
        here = before & mask[:, None] & mask[None, :]
        # Below every chord: steeper towards it from all before than from it to all beyond.
        steepest_before = np.where(here, slope, -np.inf).max(axis=0)
        flattest_beyond = np.where(here, slope, np.inf).min(axis=1)
        on_frontier[row, order] = mask & (steepest_before <= flattest_beyond)
    return on_frontier


@_register
def published(gflops: Floats, error: Floats, held: Masks) -> Masks:
    """The binning of the reference study, for reproducing its fits.

    int(log2(largest compute / 1500)) bin edges, geometric from the smallest to the largest
    compute; the best cell of each half-open bin; those that lower the running minimum; and the
    cell of largest compute, which no half-open bin holds, if it lowers it too. (arXiv:2506.04598,
    code of its figures; 1500 is a constant of theirs and counts GFLOPs.)

    The study sorts each bin with an unstable sort, so that its choice between equal errors is
    arbitrary. Here the most expensive of equals is taken: on figure 1 this gives the published
    MaMMUT coefficients to 1.5 % in A, 0.018 in ln B, 0.0007 in alpha and 0.0003 in E, while the
    cheapest of equals misses E by 0.0026. CLIP has no ties there.
    """
    cheapest = np.where(held, gflops, np.inf).min(axis=1)
    dearest = np.where(held, gflops, -np.inf).max(axis=1)
    spans, group = np.unique(np.stack([cheapest, dearest]), axis=1, return_inverse=True)
    on_frontier = np.zeros_like(held)
    for k, (low, high) in enumerate(spans.T):
        members = group.reshape(-1) == k
        on_frontier[members] = _published_between(low, high, gflops, error, held[members])
    return on_frontier


def _published_between(
    low: float, high: float, gflops: Floats, error: Floats, held: Masks
) -> Masks:
    """`published` for resamples that share their smallest and largest compute."""
    count = int(np.log2(max(high / 1500, 1.0)))
    if count < 2 or high <= low:
        raise FitError(
            f"the published frontier needs two bin edges, that is a largest compute of at least "
            f"6000 GFLOPs and two different computes; these cells span {low:g} to {high:g}"
        )
    edges = np.geomspace(low, high, count)
    # The last edge opens a bin of its own, which only the most expensive cells fall into.
    number = np.searchsorted(edges, gflops, side="right")
    order = np.lexsort((-gflops, error, number))
    best = np.zeros_like(held)
    best[:, order] = _first_of_each_bin(number[order], held[:, order])
    by_compute = np.argsort(gflops, kind="stable")
    on_frontier = np.zeros_like(held)
    on_frontier[:, by_compute] = _lowers_the_minimum(error[by_compute], best[:, by_compute])
    return on_frontier


def _first_of_each_bin(number: Integers | Floats, held: Masks) -> Masks:
    """The first held cell of each bin, (b, m); cells are sorted by bin number."""
    first = np.zeros_like(held)
    starts = np.flatnonzero(np.diff(number, prepend=-np.inf))
    for start, stop in zip(starts, [*starts[1:], len(number)], strict=True):
        here = held[:, start:stop]
        rows = np.flatnonzero(here.any(axis=1))
        first[rows, start + here[rows].argmax(axis=1)] = True
    return first


def _lowers_the_minimum(error: Floats, held: Masks) -> Masks:
    """Held cells whose error is below that of all held cells before them, (b, m)."""
    seen = np.where(held, error, np.inf)
    before = np.minimum.accumulate(seen, axis=1)
    before = np.concatenate([np.full((len(held), 1), np.inf), before[:, :-1]], axis=1)
    return held & (seen < before)
