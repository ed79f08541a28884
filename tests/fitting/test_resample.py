"""The bootstrap: as good as single fits, reproducible, and blind to names and order."""

import time
from zlib import crc32

import numpy as np
import pytest

from fitting.descent import Points, Problem, descend
from fitting.errors import FitError
from fitting.fit import fit
from fitting.frontier import Cells, frontier
from fitting.laws import law_named
from fitting.projection import every_start
from fitting.resample import Resampling, _draw, refit

LAW = law_named("saturating")


@pytest.fixture(scope="module")
def cells(published) -> tuple[np.ndarray, np.ndarray]:
    rows = published[
        (published["dataset"] == "datacomp_1b")
        & (published["schedule"] == "cosine")
        & (published["task"] == "imagenet1k")
        & (published["family"] == "mammut")
        & (published["compute_gflops"] <= 1e12)
    ].sort_values(["compute_gflops", "error"])
    return rows["compute_gflops"].to_numpy(), rows["error"].to_numpy()


def test_batched_refits_reach_the_optimum_of_single_searches(cells) -> None:
    gflops, error = cells
    scale = 1e9
    refits = refit(LAW, "bins", cells, scale=scale, refits=200, seed=3)
    generator = np.random.default_rng([3, crc32(error.tobytes())])
    weight, _ = _draw(Resampling(), Cells(gflops, error), np.arange(len(error)), 200, generator)
    drawn = weight > 0

    for theta, mask in list(zip(refits.theta, drawn, strict=True))[::5]:
        x, y = gflops[mask] / scale, error[mask]
        starts = every_start(LAW, x, y, np.ones((1, len(x))))
        shape = (len(starts), len(x))
        points = Points(np.broadcast_to(x, shape), np.broadcast_to(y, shape), np.ones(shape))
        thorough = descend(Problem(LAW, points), starts, x_range=gflops[drawn.any(axis=0)] / scale)
        sse = np.sum((LAW.error(theta[None], x)[0] - y) ** 2)
        assert sse <= thorough.cost.min() * (1 + 1e-9)


def test_refits_scatter_around_the_fit(cells) -> None:
    best = frontier("bins", *cells)
    found = fit(LAW, best.gflops, best.error)
    targets = np.array([1e10, 1e12])

    predicted = refit(LAW, "bins", cells, scale=found.scale, refits=400, seed=0).predict(targets)

    low, high = np.quantile(predicted, [0.025, 0.975], axis=0)
    assert np.all((low < found.predict(targets)) & (found.predict(targets) < high))
    assert np.all(high - low < 0.05)


def test_same_seed_gives_the_same_refits_whatever_the_order_of_cells(cells) -> None:
    gflops, error = cells
    order = np.random.default_rng(0).permutation(len(error))

    first = refit(LAW, "bins", cells, scale=1e9, refits=100, seed=1)
    second = refit(LAW, "bins", (gflops[order], error[order]), scale=1e9, refits=100, seed=1)
    other = refit(LAW, "bins", cells, scale=1e9, refits=100, seed=2)

    np.testing.assert_array_equal(first.theta, second.theta)
    assert not np.array_equal(first.theta, other.theta)


def test_poor_resamples_are_drawn_again_and_counted() -> None:
    gflops = np.geomspace(1e8, 1e12, 6)
    error = 60 * (gflops + 1e8) ** -0.2 + 0.1

    found = refit(LAW, "pareto", (gflops, error), scale=1e10, refits=100, seed=0)

    assert len(found) == 100
    assert found.drawn_again > 0


def test_too_few_cells_to_resample_are_an_error() -> None:
    with pytest.raises(FitError, match="resamples of the 3 cells"):
        refit(
            LAW,
            "pareto",
            (np.array([1e8, 1e9, 1e10]), np.array([0.9, 0.8, 0.7])),
            scale=1e9,
            refits=100,
            seed=0,
        )


def test_a_thousand_refits_take_less_than_a_second_of_one_core(cells) -> None:
    refit(LAW, "bins", cells, scale=1e9, refits=100, seed=0)
    start = time.process_time()

    refit(LAW, "bins", cells, scale=1e9, refits=1000, seed=0)

    assert time.process_time() - start < 1.0
