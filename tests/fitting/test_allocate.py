"""Compute-optimal samples seen: published lines, recovery, disagreement, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from surface_cells import CHINCHILLA, grid, language_models, published_cells

from fitting.allocate import Method, allocate
from fitting.allocate_methods import allocator
from fitting.errors import FitError
from fitting.surfaces import FOR_FRACTIONS, FOR_LOSSES, Cells, frontier_line, isoflop_line


@pytest.mark.parametrize(
    ("family", "points", "factor", "exponent"),
    [("clip", 40, 16.8789, 0.7407), ("mammut", 43, 8.1530, 0.7439)],
)
def test_frontier_line_is_the_published_figure_6(
    figure_1, family: str, points: int, factor: float, exponent: float
) -> None:
    line = frontier_line(published_cells(figure_1, family, 1e12), refits=100, seed=0)

    assert len(line.samples_seen) == points
    assert line.factor == pytest.approx(factor, rel=1e-4)
    assert line.exponent == pytest.approx(exponent, abs=5e-5)


@pytest.mark.parametrize(
    ("family", "compute", "samples"),
    [("clip", 2.14e12, 2.30e10), ("clip", 2.59e12, 2.64e10), ("mammut", 2.59e12, 1.41e10)],
)
def test_frontier_line_gives_the_constants_of_the_study(
    figure_1, family, compute, samples
) -> None:
    line = frontier_line(published_cells(figure_1, family, 1e12), refits=100, seed=0)

    assert line.samples(compute) == pytest.approx(samples, rel=0.015)


def isoflop_grid(seed: int = 0, noise: float = 0.0) -> Cells:
    """Language models at nine computes, eleven sizes each."""
    truth = CHINCHILLA
    compute = np.repeat(np.geomspace(6e18, 3e21, 9), 11) / 6
    best = np.sqrt(compute / 20)
    size = best * np.tile(np.geomspace(1 / 8, 8, 11), 9)
    samples = compute / size
    loss = truth["E"] + truth["A"] / size ** truth["alpha"] + truth["B"] / samples ** truth["beta"]
    wiggle = noise * np.random.default_rng(seed).standard_normal(len(loss))
    return Cells.of(size, samples, loss * np.exp(wiggle))


def test_parabolas_and_surface_recover_the_optimum_of_a_known_law() -> None:
    fitted = allocator(isoflop_grid(noise=0.001), FOR_LOSSES, refits=100)
    exponent = CHINCHILLA["alpha"] / (CHINCHILLA["alpha"] + CHINCHILLA["beta"])

    found = {one.method: one for one in fitted.at(1e20).optima}

    truth = fitted.surface.best.optimum(1e20).samples_seen[0]
    assert found[Method.SURFACE].exponent == pytest.approx(exponent, abs=0.02)
    assert found[Method.ISOFLOP].exponent == pytest.approx(exponent, abs=0.05)
    assert found[Method.ISOFLOP].samples_seen == pytest.approx(truth, rel=0.2)


def test_interval_of_the_surface_covers_the_true_optimum() -> None:
    """Extrapolated 30-fold, in at least 10 of 12 simulations at a nominal 95 %."""
    a, b, alpha, beta = (CHINCHILLA[name] for name in ("A", "B", "alpha", "beta"))
    compute = 1.5e22
    size = (alpha * a / (beta * b)) ** (1 / (alpha + beta)) * compute ** (beta / (alpha + beta))
    covered = 0
    for seed in range(12):
        cells = language_models(seed, tails=30.0)
        optimum = allocator(cells, FOR_LOSSES, refits=100).at(compute).optima[-1]
        assert optimum.method is Method.SURFACE
        covered += optimum.low <= compute / size <= optimum.high

    assert covered >= 10


@pytest.mark.parametrize("family", ["clip", "mammut"])
def test_methods_disagree_on_published_cells_beyond_their_range(figure_1, family: str) -> None:
    """The frontier line follows the edges of the grid; the other two see past them."""
    fitted = allocator(published_cells(figure_1, family, 1e12), FOR_FRACTIONS, refits=200)

    inside, beyond = fitted.at(1e10), fitted.at(2.6e12)

    assert inside.disagreement < 1.7
    assert beyond.disagreement > 3
    samples = {one.method: one.samples_seen for one in beyond.optima}
    assert samples[Method.FRONTIER] > 3 * samples[Method.ISOFLOP]
    assert samples[Method.ISOFLOP] == pytest.approx(samples[Method.SURFACE], rel=0.5)
    for one in beyond.optima:
        assert one.low < one.samples_seen < one.high
        assert any("largest samples seen measured" in note for note in one.notes)


def test_unit_of_compute_does_not_matter() -> None:
    cells = grid(noise=0.005)
    rescaled = Cells.of(cells.gflops_per_sample * 1e-4, cells.samples_seen, cells.error)

    here = allocator(cells, FOR_FRACTIONS, refits=100).at(1e11)
    there = allocator(rescaled, FOR_FRACTIONS, refits=100).at(1e7)

    assert len(here.optima) == len(there.optima) == 3
    for a, b in zip(here.optima, there.optima, strict=True):
        assert b.samples_seen == pytest.approx(a.samples_seen, rel=1e-3)
        assert (b.low, b.high) == pytest.approx((a.low, a.high), rel=0.02)
        assert b.exponent == pytest.approx(a.exponent, abs=0.01)


def test_order_of_rows_does_not_matter(figure_1: pd.DataFrame) -> None:
    shuffled = figure_1.sample(frac=1, random_state=0)

    here, there = (
        [one.to_json() for one in allocate(rows, [1e12], refits=100)[0]]
        for rows in (figure_1, shuffled)
    )

    assert here == there


def test_held_out_cells_enter_no_method(figure_1: pd.DataFrame) -> None:
    clip = figure_1[figure_1["family"] == "clip"]
    spoiled = clip.assign(error=clip["error"].where(clip["compute_gflops"] <= 1e11, 0.9))

    here, there = (
        allocate(rows, [1e12], max_compute=1e11, refits=100)[0][0].to_json()
        for rows in (clip, spoiled)
    )

    assert here == there
    assert here["allocations"][0]["extrapolation"] > 10


def test_a_method_without_enough_cells_says_so_and_the_others_answer() -> None:
    fitted = allocator(grid(noise=0.002, sizes=4, lengths=5), FOR_FRACTIONS, refits=100)

    assert "compute slices" in fitted.failures[Method.ISOFLOP]
    assert {one.method for one in fitted.at(1e10).optima} == {Method.FRONTIER, Method.SURFACE}


def test_too_few_cells_for_every_method_are_refused() -> None:
    cells = grid(sizes=2, lengths=2)

    with pytest.raises(FitError, match=r"frontier line: .* isoFLOP parabolas: .* law of size"):
        allocator(cells, FOR_FRACTIONS)


def test_a_line_needs_slices_with_a_minimum() -> None:
    with pytest.raises(FitError, match="a line needs at least 3"):
        isoflop_line(grid(sizes=3, lengths=4), refits=100, seed=0)


@pytest.mark.parametrize("compute", [0.0, -1.0, float("nan"), float("inf")])
def test_a_compute_that_is_none_is_refused(compute: float) -> None:
    with pytest.raises(FitError, match="give positive, finite GFLOPs"):
        allocator(grid(), FOR_FRACTIONS, refits=100).at(compute)


def test_series_that_cannot_be_allocated_are_named(figure_1: pd.DataFrame) -> None:
    chance = figure_1[figure_1["family"] == "clip"].assign(family="guess", error=0.999)

    found, failures = allocate(pd.concat([figure_1, chance]), [1e12], refits=100)

    assert [one.family for one in found] == ["clip", "mammut"]
    assert [one.family for one in failures] == ["guess"]
    with pytest.raises(FitError, match="at chance"):
        allocate(chance, [1e12], refits=100)


def test_a_table_of_language_models_is_allocated_by_their_law() -> None:
    cells = isoflop_grid(noise=0.001)
    table = pd.DataFrame(
        {
            "study": "language",
            "dataset": "text",
            "schedule": "cosine",
            "task": "validation",
            "metric": "loss",
            "family": "transformer",
            "model": "any",
            "samples_seen": cells.samples_seen,
            "compute_gflops": cells.compute_gflops,
            "error": cells.error,
        }
    )

    (found,), failures = allocate(table, [1e21], refits=100)

    assert not failures
    assert found.allocator.surface.law.name == "chinchilla"
    assert found.allocator.surface.parameters["beta"] == pytest.approx(0.366, abs=0.02)
    assert found.allocations[0].disagreement < 1.5
