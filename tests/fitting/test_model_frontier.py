"""The frontier `model`: all cells moved by a fitted surface, in a fit and in its bootstrap."""

import numpy as np
import pandas as pd
import pytest
from surface_cells import SATURATING, grid, language_models

from fitting import FitError, Options, SeriesFit, analyse
from fitting.frontier import Cells, choose, frontier, frontier_of
from fitting.resample import KINDS
from fitting.surfaces import FOR_LOSSES, SaturatingSurface, fit_surface, moved_to_frontier
from fitting.surfaces import Cells as GridCells
from fitting.surfaces.model_frontier import BELOW_ZERO

TARGETS = (1e12, 1e13)


def series_cells(cells: GridCells, **known: object) -> Cells:
    return Cells(cells.compute_gflops, cells.error, cells.samples_seen)._replace(**known)


def table(cells: GridCells) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": "simulated",
            "dataset": "shapes",
            "schedule": "cosine",
            "task": "shapes_classification",
            "metric": "acc1",
            "family": "clip",
            "model": [f"size-{size:.3f}" for size in cells.gflops_per_sample],
            "samples_seen": cells.samples_seen,
            "compute_gflops": cells.compute_gflops,
            "error": cells.error,
        }
    )


def fitted(points: pd.DataFrame, **options: object) -> SeriesFit:
    (found,) = analyse(
        points, Options(**{"frontier": "model", "refits": 100, "targets": TARGETS, **options})
    ).fits
    return found


def least_errors(compute: np.ndarray) -> np.ndarray:
    """Errors of the true surface's best models between 5 and 400 GFLOPs per sample."""
    true = SATURATING
    size = np.geomspace(5, 400, 4000)[:, None]
    small = 1 / (1 + (size / true["Gh"]) ** true["p"])
    short = (1 + compute / size / true["D0"]) ** -true["b"]
    error = true["E"] + (true["e0"] - true["E"]) * (1 - (1 - small) * (1 - short))
    return error.min(axis=0)


@pytest.mark.parametrize("chance", [None, SATURATING["e0"]])
def test_every_cell_of_a_known_surface_lands_on_its_frontier(chance: float | None) -> None:
    cells = grid(noise=0.003)

    found = frontier_of("model", series_cells(cells, chance_error=chance))

    assert len(found) == len(cells)
    assert not found.left_out
    missed = found.error - least_errors(found.gflops)
    assert np.sqrt(np.mean(missed**2)) < 0.005
    assert abs(np.mean(missed)) < 0.001


def test_losses_are_moved_by_the_surface_without_chance() -> None:
    cells = language_models()

    found = frontier_of("model", series_cells(cells, is_fraction=False))

    moved = moved_to_frontier(FOR_LOSSES.apply(cells))
    np.testing.assert_allclose(found.error, moved.error, rtol=1e-6)


def test_a_resample_equals_the_series_that_holds_its_cells_so_often() -> None:
    cells = grid(noise=0.01, sizes=5, lengths=6)
    drawn = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), size=5).astype(float)

    together = choose("model", series_cells(cells), drawn)

    for weight, error, counts in zip(together.weight, together.error, drawn, strict=True):
        rows = np.repeat(np.arange(30), counts.astype(int))
        alone = frontier_of("model", series_cells(cells.where(rows)))
        np.testing.assert_array_equal(weight, counts)
        np.testing.assert_allclose(error[rows], alone.error, atol=2e-4)


def test_a_resample_that_no_surface_can_be_told_from_is_no_frontier() -> None:
    cells = grid(noise=0.01, sizes=5, lengths=6)
    smallest = np.unique(cells.gflops_per_sample)[:2]
    drawn = np.stack([np.isin(cells.gflops_per_sample, smallest), np.ones(30)]).astype(float)

    found = choose("model", series_cells(cells), drawn)

    assert found.weight.sum(axis=1).tolist() == [0, 30]


@pytest.mark.parametrize("kind", KINDS)
def test_every_bootstrap_scatters_around_the_fit_and_repeats_itself(kind: str) -> None:
    points = table(grid(noise=0.01)).assign(trial=lambda rows: rows["model"])
    gflops = np.array(TARGETS)

    here, again = (fitted(points, resample=kind) for _ in range(2))

    predicted = here.refits.predict(gflops)
    np.testing.assert_array_equal(predicted, again.refits.predict(gflops))
    assert np.all(predicted.std(axis=0) > 5e-4)
    assert np.all(np.abs(predicted.mean(axis=0) - here.fit.predict(gflops)) < 0.02)


def test_drawing_the_points_alone_leaves_out_what_the_surface_leaves_open() -> None:
    points = table(grid(noise=0.01, sizes=5, lengths=6))

    spread = {
        kind: fitted(points, resample=kind, refits=300).refits.predict(np.array([1e12])).std()
        for kind in ("points", "cells")
    }

    assert spread["cells"] > 1.1 * spread["points"]


def test_what_is_held_out_enters_neither_surface_nor_refits() -> None:
    points = table(grid(noise=0.01))
    beyond = points["compute_gflops"] > 1e11
    spoiled = points.assign(error=points["error"].where(~beyond, 0.9))

    here, there = (fitted(one, max_compute=1e11) for one in (points, spoiled))

    np.testing.assert_array_equal(here.fit.theta, there.fit.theta)
    np.testing.assert_array_equal(here.refits.theta, there.refits.theta)
    assert here.frontier.gflops.max() <= 1e11
    assert sum(here.left_out.values()) == beyond.sum()


def test_neither_order_nor_ties_change_a_fit() -> None:
    """Two cells of equal compute and error differ in size, so that they move differently."""
    cells = grid(noise=0.01, sizes=6, lengths=6)
    points = table(
        GridCells.of(
            np.append(cells.gflops_per_sample, [20.0, 40.0]),
            np.append(cells.samples_seen, [2e7, 1e7]),
            np.append(cells.error, [0.8, 0.8]),
        )
    )

    here, there = (fitted(one) for one in (points, points.sample(frac=1.0, random_state=1)))

    np.testing.assert_array_equal(here.fit.theta, there.fit.theta)
    np.testing.assert_array_equal(here.refits.theta, there.refits.theta)


def test_the_unit_of_compute_does_not_matter() -> None:
    points = table(grid(noise=0.01, sizes=6, lengths=6))
    scaled = points.assign(compute_gflops=1e-3 * points["compute_gflops"])

    here, there = fitted(points), fitted(scaled, targets=(1e9, 1e10))

    gflops = np.array(TARGETS)
    np.testing.assert_allclose(
        here.fit.predict(gflops), there.fit.predict(1e-3 * gflops), rtol=1e-6
    )
    for one, other in zip(here.interval(gflops), there.interval(1e-3 * gflops), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.parametrize("interval", ["default", "t"])
def test_the_interval_holds_the_surface_and_says_so(interval: str) -> None:
    found = fitted(table(grid(noise=0.01)).query("compute_gflops <= 1e11"), interval=interval)

    gflops = np.array([4e11])
    low, high = found.interval(gflops)
    assert low <= found.frontier.model(gflops) <= high
    assert low <= found.fit.predict(gflops) <= high
    assert any("frontier of the surface" in note for note in found.notes)
    assert found.interval_method == ("t" if interval == "t" else "bootstrap")


def test_a_cell_moved_below_zero_is_left_out_and_counted() -> None:
    cells = grid(noise=0.003, sizes=6, lengths=6)
    lucky = (cells.gflops_per_sample == cells.gflops_per_sample.min()) & (
        cells.samples_seen == cells.samples_seen.max()
    )
    easy = GridCells.of(
        cells.gflops_per_sample,
        cells.samples_seen,
        np.where(lucky, 0.0, np.maximum(cells.error - 0.11, 0.0)),
    )

    found = frontier_of("model", series_cells(easy))

    assert found.left_out == {BELOW_ZERO: 1}
    assert len(found) == 35


def test_too_few_sizes_are_refused_with_the_reason() -> None:
    cells = grid(noise=0.01, sizes=2, lengths=6)

    with pytest.raises(FitError, match=r"model frontier fits a surface.*2 different model sizes"):
        frontier_of("model", series_cells(cells))
    with pytest.raises(FitError, match="samples seen of every cell"):
        frontier("model", cells.compute_gflops, cells.error)


def test_the_interval_covers_the_frontier_beyond_the_grid() -> None:
    """The law of compute has another shape than the surface, which alone misses most of them."""
    true = fit_surface(SaturatingSurface(), grid()).best
    beyond = np.array([4e11])
    truth = true.optimum(beyond, within=(1e-3, 1e7)).error
    held = {"whole": 0, "of the law alone": 0}

    for seed in range(12):
        points = table(grid(seed, noise=0.013)).query("compute_gflops <= 1e11")
        found = fitted(points.assign(error=points["error"].clip(upper=1.0)))
        low, high = found.interval(beyond)
        held["whole"] += int(low[0] <= truth[0] <= high[0])
        low, high = found.fit.interval(beyond)
        held["of the law alone"] += int(low[0] <= truth[0] <= high[0])

    assert held["whole"] >= 11
    assert held["of the law alone"] <= 9
