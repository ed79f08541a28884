"""Which points are on the frontier, and that everything else is counted."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitting import Options, analyse
from fitting.errors import FitError
from fitting.frontier import (
    MODELS,
    Cells,
    Chosen,
    frontier,
    held_out_frontier,
    method_named,
    register,
)
from fitting.frontier_methods import METHODS

CELLS = st.lists(
    st.tuples(st.floats(1e6, 1e12), st.sampled_from([0.2, 0.3, 0.4, 0.5, 0.7, 0.9])),
    min_size=4,
    max_size=40,
    unique_by=lambda cell: cell[0],
)


def arrays(cells: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([c for c, _ in cells]), np.array([e for _, e in cells])


@pytest.mark.parametrize("method", sorted(METHODS))
@given(cells=CELLS)
def test_error_falls_along_every_frontier(method: str, cells: list[tuple[float, float]]) -> None:
    gflops, error = arrays(cells)

    found = frontier(method, gflops, error)

    assert np.all(np.diff(found.gflops) > 0)
    assert np.all(np.diff(found.error) < 0)
    np.testing.assert_array_equal(gflops[found.index], found.gflops)
    np.testing.assert_array_equal(error[found.index], found.error)
    assert len(found) + sum(found.left_out.values()) == len(gflops)


@pytest.mark.parametrize("method", sorted(METHODS))
@given(cells=CELLS, seed=st.integers(0, 99))
def test_order_of_points_does_not_matter(
    method: str, cells: list[tuple[float, float]], seed: int
) -> None:
    gflops, error = arrays(cells)
    order = np.random.default_rng(seed).permutation(len(gflops))

    here, there = frontier(method, gflops, error), frontier(method, gflops[order], error[order])

    np.testing.assert_array_equal(here.gflops, there.gflops)
    np.testing.assert_array_equal(here.error, there.error)
    np.testing.assert_array_equal(here.index, order[there.index])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_many_resamples_at_once_equal_each_alone(method: str) -> None:
    rng = np.random.default_rng(0)
    gflops, error = np.sort(10 ** rng.uniform(6, 12, 60)), rng.uniform(0.1, 1, 60).round(1)
    held = rng.random((50, 60)) < 0.6

    together = method_named(method)(gflops, error, held)

    for row, mask in zip(together, held, strict=True):
        alone = frontier(method, gflops[mask], error[mask])
        np.testing.assert_array_equal(np.flatnonzero(row), np.flatnonzero(mask)[alone.index])


def test_pareto_keeps_what_nothing_cheaper_equals() -> None:
    gflops = np.array([1.0, 2.0, 3.0, 4.0, 4.0, 5.0])
    error = np.array([0.9, 0.9, 0.5, 0.6, 0.4, 0.4])

    found = frontier("pareto", gflops, error)

    assert found.index.tolist() == [0, 2, 4]


def test_bins_take_the_best_of_each_octave_and_the_cheapest_of_equals() -> None:
    gflops = np.array([4.0, 5.0, 7.9, 8.0, 15.0, 16.0])
    error = np.array([0.9, 0.8, 0.8, 0.85, 0.7, 0.6])

    found = frontier("bins", gflops, error)

    assert found.index.tolist() == [1, 4, 5]
    assert sum(found.left_out.values()) == 3


def test_bins_do_not_move_when_a_larger_cell_is_added() -> None:
    rng = np.random.default_rng(3)
    gflops, error = 10 ** rng.uniform(6, 11, 80), rng.uniform(0.2, 1, 80)

    without = frontier("bins", gflops, error)
    with_it = frontier("bins", np.append(gflops, 3.3e12), np.append(error, 0.1))

    np.testing.assert_array_equal(with_it.gflops[:-1], without.gflops)


def test_published_takes_the_most_expensive_of_equals_in_a_bin() -> None:
    # int(log2(24001 / 1500)) = 4 edges: 3000, 6000, 12000, 24001 but for rounding.
    gflops = np.array([3000.0, 3500.0, 5000.0, 7000.0, 11000.0, 13000.0, 24001.0])
    error = np.array([0.9, 0.8, 0.8, 0.7, 0.75, 0.7, 0.6])

    found = frontier("published", gflops, error)

    assert found.index.tolist() == [2, 3, 6]


def test_published_follows_the_recipe_step_by_step(figure_1) -> None:
    rows = figure_1[(figure_1["family"] == "clip") & (figure_1["compute_gflops"] <= 1e12)]
    x, y = rows["compute_gflops"].to_numpy(), rows["error"].to_numpy()
    edges = np.geomspace(x.min(), x.max(), int(np.log2(x.max() / 1500)))
    kept, lowest = [], np.inf
    for low, high in pairwise(edges):
        inside = np.flatnonzero((x >= low) & (x < high))
        if len(inside) and y[inside].min() < lowest:
            lowest = y[inside].min()
            kept.append(max(x[i] for i in inside if y[i] == lowest))
    if y[x.argmax()] < lowest:
        kept.append(x.max())

    assert frontier("published", x, y).gflops.tolist() == kept


def test_published_needs_enough_compute_for_two_edges() -> None:
    with pytest.raises(FitError, match="6000 GFLOPs"):
        frontier("published", np.array([100.0, 2000.0, 5000.0]), np.array([0.9, 0.8, 0.7]))


def test_held_out_point_that_a_training_point_beats_is_left_out() -> None:
    gflops = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    error = np.array([0.9, 0.5, 0.6, 0.4, 0.45])

    found = held_out_frontier(gflops, error, max_compute=2.5)

    assert found.gflops.tolist() == [4.0]
    assert sum(found.left_out.values()) == 2


def test_hull_keeps_the_corners_below_every_chord() -> None:
    gflops = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 3.0])
    error = 2.0 ** np.array([0.0, -0.5, -2.0, -2.4, -2.6, -0.4])

    found = frontier("hull", gflops, error)

    assert found.index.tolist() == [0, 2, 3, 4]
    assert found.left_out == {
        "a cell that costs no more has no larger error": 1,
        "above the line between two cells of the frontier": 1,
    }


@given(cells=CELLS)
def test_no_cell_lies_below_the_hull(cells: list[tuple[float, float]]) -> None:
    gflops, error = arrays(cells)

    found = frontier("hull", gflops, error)

    inside = (gflops >= found.gflops[0]) & (gflops <= found.gflops[-1])
    line = np.interp(np.log(gflops[inside]), np.log(found.gflops), np.log(found.error))
    assert np.all(np.log(error[inside]) >= line - 1e-9)


def test_a_method_may_need_samples_seen_and_move_cells(simulate, monkeypatch) -> None:
    """As one does that moves every cell to the frontier of a model over size and samples."""

    def shifted(cells: Cells, drawn: np.ndarray, _: np.random.Generator | None) -> Chosen:
        moved = cells.error - 1e-4 * np.log(cells.gflops_per_sample)
        return Chosen(drawn, moved)

    monkeypatch.setattr("fitting.frontier.MODELS", dict(MODELS))
    register("shifted", shifted)
    rows = simulate(sizes=4, lengths=5)

    (fit,) = analyse(rows, Options(frontier="shifted", refits=100)).fits

    assert len(fit.frontier) == 20
    assert fit.refits is not None
    per_sample = rows["compute_gflops"] / rows["samples_seen"]
    moved = (rows["error"] - 1e-4 * np.log(per_sample)).to_numpy()
    np.testing.assert_allclose(np.sort(fit.frontier.error), np.sort(moved))
    with pytest.raises(FitError, match="needs the samples seen"):
        frontier("shifted", np.array([1.0, 2.0]), np.array([0.5, 0.4]))


def test_unknown_frontier_is_answered_with_the_known_ones() -> None:
    known = r"unknown frontier 'octaves'.*bins, hull, model, pareto, published"
    with pytest.raises(FitError, match=known):
        frontier("octaves", np.array([1.0]), np.array([0.5]))
