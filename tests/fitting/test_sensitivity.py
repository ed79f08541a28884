"""What other choices would have said."""

import json

import numpy as np
import pandas as pd
import pytest

from fitting import Options, analyse
from fitting.frontier_methods import METHODS
from fitting.sensitivity import Variant

TARGETS = (1e11, 1e13)


@pytest.fixture(scope="module")
def analysis(figure_1: pd.DataFrame):
    options = Options(refits=100, max_compute=1e12, targets=TARGETS, sensitivity=True)
    return analyse(figure_1, options, compare=["clip", "mammut"])


@pytest.fixture(scope="module")
def variants(analysis) -> dict[tuple[str, str], Variant]:
    return {(one.factor, one.choice): one for one in analysis.variants[0]}


def test_every_choice_is_varied(variants) -> None:
    assert {factor for factor, _ in variants} == {
        "frontier", "ties", "weights", "prior", "floor", "bin edges",
    }  # fmt: skip
    assert {choice for factor, choice in variants if factor == "frontier"} == set(METHODS)


def test_the_own_choice_among_the_variants_gives_the_own_result(analysis, variants) -> None:
    (comparison,) = analysis.comparisons
    for own in (("frontier", "bins"), ("weights", "power:0.5"), ("prior", "weak")):
        assert variants[own].crossing_gflops == pytest.approx(comparison.crossing.gflops)
        differences = [at.difference for at in comparison.better_at]
        np.testing.assert_allclose(variants[own].differences, differences, rtol=1e-6)


def test_random_edges_surround_the_fixed_ones(analysis, variants) -> None:
    (edges,) = (one for (factor, _), one in variants.items() if factor == "bin edges")

    low, high = edges.crossing_range
    assert low < analysis.comparisons[0].crossing.gflops < high
    for (low, high), at in zip(edges.difference_ranges, edges.differences, strict=True):
        assert low <= at <= high


def test_without_a_floor_e_is_zero_and_the_result_another(variants) -> None:
    free, zero = variants["frontier", "bins"], variants["floor", "E = 0"]

    assert zero.crossing_gflops != pytest.approx(free.crossing_gflops, rel=0.05)


def test_what_cannot_be_fitted_says_why(variants) -> None:
    """The hull of a frontier that bends at small compute keeps only its corners."""
    hull = variants["frontier", "hull"]

    assert hull.crossing_gflops is None
    assert "cannot determine" in hull.reason


def test_the_report_has_it_only_when_asked(analysis, figure_1: pd.DataFrame) -> None:
    entry = analysis.to_json()["comparisons"][0]
    without = analyse(figure_1, Options(refits=100), compare=["clip", "mammut"])

    assert json.loads(json.dumps(entry["sensitivity"], allow_nan=False)) == entry["sensitivity"]
    assert len(entry["sensitivity"]) == len(analysis.variants[0])
    assert "sensitivity" not in without.to_json()["comparisons"][0]
