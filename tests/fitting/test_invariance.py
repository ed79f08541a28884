"""What must not change a result, and what every result must satisfy, over drawn grids.

The laws, frontiers and intervals are those of the registries, so that another one is tested by
standing there.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting import LAWS, Analysis, FitError, Options, analyse
from fitting.frontier import MODELS
from fitting.frontier_methods import METHODS
from fitting.options import AUTO
from fitting.series_fit import INTERVALS

FRONTIERS = sorted([*METHODS, *MODELS])
NEEDS_GFLOPS = ("published",)
"""Frontiers whose rule has a constant in GFLOPs."""
BEYOND = np.geomspace(1e5, 1e16, 60)

few = settings(max_examples=10)
laws = st.sampled_from([*LAWS, AUTO])
frontiers = st.sampled_from(FRONTIERS)
seeds = st.integers(0, 10_000)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)


@pytest.fixture(scope="session")
def grid(simulate) -> Callable[..., pd.DataFrame]:
    """A grid of one family whose law, size and noise follow from a number."""

    def draw(seed: int, family: str = "clip") -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        law = rng.uniform((60.0, 18.2, 0.20, 0.05), (120.0, 19.2, 0.26, 0.15))
        # Start from chance, so that no error is cut off at 1.
        law[0] = (1 - law[3]) * np.exp(law[1] * law[2])
        return simulate(
            family,
            law=tuple(law),
            sizes=int(rng.integers(5, 9)),
            lengths=int(rng.integers(7, 12)),
            noise=rng.choice([0.001, 0.004, 0.012]),
            seed=seed,
        )

    return draw


def results(points: pd.DataFrame, **options: Any) -> dict[str, Any] | str:
    """What `analyse` says, as plain values; the reason where it refuses."""
    compare = options.pop("compare", None)
    try:
        return analyse(points, Options(refits=100, **options), compare).to_json()
    except FitError as error:
        return str(error)


def fitted(points: pd.DataFrame, **options: Any) -> Analysis | None:
    """None where there is nothing to fit, as on most hulls."""
    try:
        return analyse(points, Options(refits=100, **options))
    except FitError:
        return None


@few
@given(seed=seeds, law=laws, frontier=frontiers, order=seeds)
def test_order_of_rows_does_not_matter(grid, seed, law, frontier, order) -> None:
    points = grid(seed)
    shuffled = points.sample(frac=1, random_state=order)

    here, there = (results(one, law=law, frontier=frontier) for one in (points, shuffled))

    assert here == there


@few
@given(seed=seeds, law=laws, frontier=frontiers, copies=st.integers(1, 40))
def test_repeated_rows_change_only_their_count(grid, seed, law, frontier, copies) -> None:
    points = grid(seed)
    repeated = pd.concat([points, points.head(copies)], ignore_index=True)

    here, there = (results(one, law=law, frontier=frontier) for one in (points, repeated))

    if isinstance(there, str):
        assert (
            there.replace(f" ({min(copies, len(points))} repeated rows counted once)", "") == here
        )
    else:
        assert there["fits"][0]["left_out"].pop("repeats another row") == min(copies, len(points))
        assert there == here


@few
@given(seed=seeds, law=laws, frontier=frontiers, given_seed=st.integers(0, 5))
def test_a_seed_that_all_cells_share_changes_nothing(
    grid, seed, law, frontier, given_seed
) -> None:
    points = grid(seed)
    how = {"law": law, "frontier": frontier}

    without = results(points, **how)

    assert results(points.assign(seed=given_seed), **how) == without
    assert results(points.assign(seed=given_seed), **how) == without


@few
@given(
    seed=seeds,
    law=st.sampled_from(sorted(LAWS)),
    frontier=st.sampled_from([name for name in FRONTIERS if name not in NEEDS_GFLOPS]),
    power=st.integers(-40, 40),
)
def test_unit_of_compute_scales_a_and_b_alone(grid, seed, law, frontier, power) -> None:
    """A power of 2, so that the fixed bins hold the same cells."""
    points, unit = grid(seed), 2.0**power
    in_unit = points.assign(compute_gflops=unit * points["compute_gflops"])
    at = np.array([1e7, 1e10, 1e13])

    here, there = (fitted(one, law=law, frontier=frontier) for one in (points, in_unit))

    assert (here is None) == (there is None)
    if here is None or there is None:
        return
    a, b = here.fits[0], there.fits[0]
    np.testing.assert_allclose(b.fit.predict(unit * at), a.fit.predict(at), rtol=1e-4)
    assert b.fit.at_bound == a.fit.at_bound
    for name, value in a.fit.parameters.items():
        alpha = a.fit.parameters["alpha"]
        expected = {"A": value * unit**alpha, "lnB": value + np.log(unit)}.get(name, value)
        # What the points barely determine is found to fewer digits.
        assert b.fit.parameters[name] == pytest.approx(expected, rel=2e-2, abs=1e-3)
    if a.is_determined and b.is_determined:
        for one, other in zip(a.interval(at), b.interval(unit * at), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-2, atol=1e-4)


@few
@given(seed=seeds, law=laws, frontier=frontiers, renamed=st.tuples(names, names))
def test_names_of_families_change_no_number(grid, seed, law, frontier, renamed) -> None:
    a, b = renamed
    if a == b:
        b += "x"
    both = pd.concat([grid(seed, "first"), grid(seed + 1, "second")], ignore_index=True)
    other = both.replace({"family": {"first": a, "second": b}})
    how = {"law": law, "frontier": frontier}

    here = results(both, **how, compare=["first", "second"])
    there = results(other, **how, compare=[a, b])

    if isinstance(here, str) or isinstance(there, str):
        assert isinstance(here, str)
        assert isinstance(there, str)
        return
    assert [numbers(one) for one in here["fits"]] == [numbers(one) for one in there["fits"]]
    assert [numbers(one) for one in here["comparisons"]] == [
        numbers(one) for one in there["comparisons"]
    ]


def numbers(value: Any) -> Any:
    """`value` without its texts."""
    if isinstance(value, dict):
        return {key: numbers(one) for key, one in value.items() if not isinstance(one, str)}
    if isinstance(value, list | tuple):
        return [numbers(one) for one in value if not isinstance(one, str)]
    return value


@few
@given(seed=seeds, law=laws, frontier=frontiers)
def test_swapping_contestants_mirrors_differences(grid, seed, law, frontier) -> None:
    both = pd.concat([grid(seed, "a"), grid(seed + 1, "b")], ignore_index=True)
    how = {"law": law, "frontier": frontier}

    there = results(both, **how, compare=["a", "b"])
    back = results(both, **how, compare=["b", "a"])

    if isinstance(there, str) or isinstance(back, str):
        assert isinstance(there, str)
        assert isinstance(back, str)
        return
    for one, other in zip(there["comparisons"], back["comparisons"], strict=True):
        for end in ("crossing_gflops", "crossing_low", "crossing_high"):
            assert one[end] == pytest.approx(other[end])
        for at, mirrored in zip(one["better_at"], other["better_at"], strict=True):
            assert at["difference"] == pytest.approx(-mirrored["difference"], abs=1e-12)
            assert at["low"] == pytest.approx(-mirrored["high"], abs=1e-12)
            assert at["high"] == pytest.approx(-mirrored["low"], abs=1e-12)
            assert at["probability_b_better"] == pytest.approx(
                1 - mirrored["probability_b_better"], abs=1e-12
            )


@few
@given(seed=seeds, law=laws, frontier=frontiers, share=st.floats(0.3, 0.98))
def test_held_out_cells_change_no_frontier_and_no_fit(grid, seed, law, frontier, share) -> None:
    points = grid(seed)
    threshold = float(points["compute_gflops"].quantile(share))
    beyond = points["compute_gflops"] > threshold
    rng = np.random.default_rng(seed)
    spoilt = points.assign(error=np.where(beyond, rng.uniform(0, 1, len(points)), points["error"]))
    how = {"law": law, "frontier": frontier, "targets": (1e9, 1e13)}

    without = fitted(points[~beyond], **how)
    here = fitted(points, **how, max_compute=threshold)
    there = fitted(spoilt, **how, max_compute=threshold)

    if without is None or here is None or there is None:
        assert without is here is there
        return
    for other in (here.fits[0], there.fits[0]):
        assert other.frontier.gflops.max() <= threshold
        np.testing.assert_array_equal(other.frontier.gflops, without.fits[0].frontier.gflops)
        np.testing.assert_array_equal(other.frontier.error, without.fits[0].frontier.error)
        np.testing.assert_array_equal(other.fit.theta, without.fits[0].fit.theta)
        assert other.predict((1e9, 1e13)) == without.fits[0].predict((1e9, 1e13))


@pytest.mark.parametrize("frontier", FRONTIERS)
@pytest.mark.parametrize("law", [*LAWS, AUTO])
@settings(max_examples=2)
@given(seed=seeds)
def test_error_falls_and_lies_in_its_intervals(grid, law: str, frontier: str, seed: int) -> None:
    analysis = fitted(grid(seed), law=law, frontier=frontier)
    if analysis is None:
        return
    predicted = analysis.fits[0].fit.predict(BEYOND)
    assert np.all(np.diff(predicted) <= 0)
    for method in INTERVALS:
        found = replace(analysis.fits[0], interval_method=method)
        for low, high in (found.interval(BEYOND), found.new_run_interval(BEYOND)):
            assert np.all(low <= predicted)
            assert np.all(predicted <= high)
