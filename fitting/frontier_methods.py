"""Frontier methods that choose among the cells of a series by compute and error alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError

if TYPE_CHECKING:
    from fitting.errors import Floats, Integers, Masks

Method = Callable[["Floats", "Floats", "Masks"], "Masks"]
"""(compute (m,), error (m,), which cells each resample holds (b, m)) -> on the frontier (b, m)."""

METHODS: dict[str, Method] = {}
"""Methods that choose among cells by compute and error."""


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
