"""Comparisons of laws that are known to cross, or not to."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from fitting import LAWS, Analysis, Comparison, Options, analyse
from fitting.compare import Crossing, compare
from fitting.errors import gflops_text
from fitting.estimator import Estimator
from fitting.series import read_series

EARLY = (80.0, 18.7, 0.24, 0.10)
LATE = (200.0, 19.4, 0.275, 0.08)
"""Crosses `EARLY` once, from above, at the compute below."""


def true_crossing() -> float:
    gflops = np.geomspace(1e8, 1e13, 200_000)
    a, b = (p[0] * (gflops + np.exp(p[1])) ** -p[2] + p[3] for p in (EARLY, LATE))
    (places,) = np.nonzero((a[:-1] < b[:-1]) & (a[1:] >= b[1:]))
    assert len(places) == 1
    return float(gflops[places[0]])


def compared(points: pd.DataFrame, *families: str, **options: object) -> Comparison:
    (comparison,) = analyse(points, Options(refits=300, **options), compare=families).comparisons
    return comparison


@pytest.fixture(scope="module")
def crossing_grids(simulate) -> pd.DataFrame:
    """The later one wins at large compute; noise of 0.3 points."""
    grids = [
        simulate("early", law=EARLY, noise=0.003, sizes=12, lengths=11, seed=1),
        simulate("late", law=LATE, noise=0.003, sizes=12, lengths=11, seed=2),
    ]
    return pd.concat(grids, ignore_index=True)


def test_crossing_interval_holds_the_true_crossing(crossing_grids: pd.DataFrame) -> None:
    crossing = compared(crossing_grids, "early", "late").crossing

    assert crossing is not None
    assert crossing.overtaker == "late"
    assert crossing.low is not None
    assert crossing.high is not None
    assert crossing.low < true_crossing() < crossing.high
    assert crossing.low <= crossing.gflops <= crossing.high


def test_laws_are_equal_at_the_crossing(crossing_grids: pd.DataFrame) -> None:
    analysis = analyse(crossing_grids, Options(refits=100), compare=["early", "late"])
    at = np.array([analysis.comparisons[0].crossing.gflops])

    early, late = (fit.fit.predict(at)[0] for fit in analysis.fits)

    assert early == pytest.approx(late, abs=1e-12)


def test_swapping_the_contestants_mirrors_everything(crossing_grids: pd.DataFrame) -> None:
    there = compared(crossing_grids, "early", "late", targets=(1e9, 1e12))
    back = compared(crossing_grids, "late", "early", targets=(1e9, 1e12))

    assert back.crossing == there.crossing
    for one, other in zip(there.better_at, back.better_at, strict=True):
        assert one.difference == -other.difference
        assert one.low == pytest.approx(-other.high)
        assert one.probability_b_better == pytest.approx(1 - other.probability_b_better)


@pytest.mark.parametrize("order", [("early", "sprinter"), ("sprinter", "early")])
def test_of_two_crossings_the_later_one_counts_whoever_is_named_first(simulate, order) -> None:
    """The sprinter is ahead from 1.2e9 to 5.6e11 GFLOPs; cells reach 7.7e11."""
    sprinter = simulate("sprinter", law=(2057.6, 19.6, 0.40, 0.18), noise=0.0, sizes=12)
    grids = pd.concat([simulate("early", law=EARLY, noise=0.0, sizes=12), sprinter])

    crossing = compared(grids, *order, law="saturating").crossing

    assert crossing is not None
    assert crossing.overtaker == "early"
    assert crossing.gflops == pytest.approx(5.6e11, rel=0.25)


def test_positive_difference_means_that_b_is_better(crossing_grids: pd.DataFrame) -> None:
    small, large = compared(crossing_grids, "early", "late", targets=(1e9, 1e12)).better_at

    assert small.high < 0 < large.low
    assert small.probability_b_better < 0.01
    assert large.probability_b_better > 0.99


def test_names_of_families_do_not_matter(crossing_grids: pd.DataFrame) -> None:
    renamed = crossing_grids.replace({"family": {"early": "zeta", "late": "alpha"}})

    there = compared(crossing_grids, "early", "late")
    here = compared(renamed, "zeta", "alpha")

    assert here.better_at == there.better_at
    assert here.crossing.gflops == there.crossing.gflops
    assert (here.crossing.low, here.crossing.high) == (there.crossing.low, there.crossing.high)


def test_unit_of_compute_moves_the_crossing_by_itself_only(crossing_grids: pd.DataFrame) -> None:
    """A power of 2, so that the fixed bins hold the same cells."""
    rescaled = crossing_grids.assign(compute_gflops=crossing_grids["compute_gflops"] * 1024)

    there = compared(crossing_grids, "early", "late", targets=(1e12,))
    here = compared(rescaled, "early", "late", targets=(1024e12,))

    assert here.crossing.gflops == pytest.approx(1024 * there.crossing.gflops, rel=1e-6)
    assert here.crossing.low == pytest.approx(1024 * there.crossing.low, rel=1e-4)
    assert here.better_at[0].difference == pytest.approx(there.better_at[0].difference, rel=1e-5)


def test_a_family_against_its_own_twin_is_not_decided(simulate) -> None:
    twins = pd.concat([simulate("one", seed=3), simulate("two", seed=4)], ignore_index=True)

    comparison = compared(twins, "one", "two")

    assert "not decided by these data" in comparison.verdict
    assert all(at.low < 0 < at.high for at in comparison.better_at)


def test_parallel_laws_do_not_cross(simulate) -> None:
    better = simulate("better", law=(60.0, 18.7, 0.24, 0.05), noise=0.002, seed=6)
    worse = simulate("worse", law=(80.0, 18.7, 0.24, 0.10), noise=0.002, seed=5)
    grids = pd.concat([better, worse], ignore_index=True)

    comparison = compared(grids, "worse", "better")

    assert comparison.crossing is None
    assert "do not cross" in comparison.verdict
    assert all(at.probability_b_better > 0.99 for at in comparison.better_at)


def test_contestants_without_refits_are_compared_but_not_decided(simulate) -> None:
    """Too few cells for the bootstrap: the intervals are Welch's and the verdict says why."""
    estimator = Estimator(
        law=LAWS["saturating"], frontier="pareto", refits=100, level=0.95, seed=0
    )
    sides = []
    for family, law in (("a", EARLY), ("b", (80.0, 18.7, 0.24, 0.09))):
        (series,) = read_series(simulate(family, law=law), None, lambda _: np.inf)
        sides.append(dataclasses.replace(estimator.apply(series), refits=None))

    comparison = compare(*sides, (1e12,))

    assert comparison.verdict.startswith("not decided by these data: a has too few cells")
    (at,) = comparison.better_at
    assert 0.95 < at.probability_b_better < 1
    assert (at.low > 0) == (at.probability_b_better > 0.975)
    assert at.low < at.difference < at.high


def test_verdict_says_what_lies_beyond_the_measured_range(crossing_grids) -> None:
    measured = crossing_grids["compute_gflops"].max()
    inside, beyond = measured / 3, 30 * measured

    clauses = compared(crossing_grids, "early", "late", targets=(inside, beyond)).verdict.split(
        ";"
    )

    assert "beyond" not in clauses[0]
    assert "x beyond the measured range" in clauses[1]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (2.7e10, 2e11, "2.7e+10 to 2.0e+11"),
        (2.7e10, None, "above 2.7e+10"),
        (None, 2e11, "below 2.0e+11"),
        (None, None, "not bounded by these data"),
    ],
)
def test_open_intervals_are_put_into_words(low, high, text) -> None:
    crossing = Crossing(
        gflops=7e10, low=low, high=high, overtaker="b", share_crossing=0.9, is_measured=True
    )

    assert crossing.interval_text == text


def test_every_pair_is_compared_in_the_order_given(simulate) -> None:
    points = pd.concat([simulate(name, seed=i) for i, name in enumerate("abc")])

    analysis: Analysis = analyse(points, Options(refits=100), compare=["c", "a", "b"])

    pairs = [(comparison.a, comparison.b) for comparison in analysis.comparisons]
    assert pairs == [("c", "a"), ("c", "b"), ("a", "b")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(14, "14"), (2_137, "2,100"), (1.4, "1.4"), (9_999, "10,000"), (1.4e10, "1.4e+10"),
     (2e4, "2.0e+04"), (0.03, "3.0e-02")],
)  # fmt: skip
def test_small_computes_are_written_plainly(value: float, text: str) -> None:
    assert gflops_text(value) == text


def test_slopes_are_those_of_the_laws(crossing_grids: pd.DataFrame) -> None:
    comparison = compared(crossing_grids, "early", "late", targets=(1e11,))

    (slopes,) = comparison.slopes

    for found, (a, ln_b, alpha, floor) in ((slopes.a, EARLY), (slopes.b, LATE)):
        reached = a * (1e11 + np.exp(ln_b)) ** -alpha
        true = -alpha * reached / (reached + floor) * 1e11 / (1e11 + np.exp(ln_b))
        assert found == pytest.approx(true, abs=0.03)
    assert slopes.low <= slopes.difference <= slopes.high
    assert slopes.difference == pytest.approx(slopes.a - slopes.b)
