"""How often intervals hold the truth: small repetitions of what `Fit.interval` reports."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fitting.compare import compare
from fitting.estimator import Estimator
from fitting.fit import fit, student_t
from fitting.laws import law_named
from fitting.series import read_series

LAW = law_named("saturating")
GFLOPS = np.geomspace(7e6, 5e11, 24)
ERROR = 58.8 * (GFLOPS + np.exp(18.41)) ** -0.2273 + 0.1116
TARGET = 4 * GFLOPS[-1:]
TRUTH = 58.8 * (TARGET[0] + np.exp(18.41)) ** -0.2273 + 0.1116
EXPERIMENTS = 200


@pytest.mark.parametrize(
    "sd",
    [np.full(24, 0.0139), 0.02 * ERROR, np.linspace(0.018, 0.005, 24)],
    ids=["same noise", "proportional noise", "noise falling with compute"],
)
def test_law_intervals_cover_under_independent_noise(sd: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    inside = logarithm_of_t = 0
    for _ in range(EXPERIMENTS):
        found = fit(LAW, GFLOPS, ERROR + sd * rng.standard_normal(24))
        (low,), (high,) = found.interval(TARGET)
        inside += low <= TRUTH <= high
        # The reference study's band takes the logarithm of the quantile.
        quantile = student_t(0.95, found.degrees_of_freedom)
        half = np.log(quantile) * found.standard_error(TARGET)[0]
        logarithm_of_t += abs(found.predict(TARGET)[0] - TRUTH) <= half

    # Binomial standard error at 0.95 is 0.015.
    assert inside / EXPERIMENTS >= 0.91
    assert logarithm_of_t / EXPERIMENTS < 0.85


INDEPENDENT = ("same", "proportional", "E = 0, same", "few, same", "few, falling, drawn")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, np.ndarray]:
    """Experiments of `benchmarks/coverage.py` by scenario: inside, flagged, inside half as wide.

    150 of each; its 600 by all methods take minutes.
    """
    benchmark = load_benchmark()
    found = {}
    for name in (*INDEPENDENT, "wandering"):
        scenario, rows = benchmark.scenarios()[name], []
        for default, true in benchmark.experiments(scenario, 150, 1):
            (low,), (high,) = default.interval(scenario.target)
            miss = abs(default.predict(scenario.target)[0] - true)
            flagged = default.diagnostics.shows_misfit
            rows.append((low <= true <= high, flagged, miss <= (high - low) / 4))
        found[name] = np.array(rows)
    return found


@pytest.mark.parametrize("name", INDEPENDENT)
def test_default_intervals_cover_under_each_noise(outcomes, name: str) -> None:
    inside, flagged, _ = outcomes[name].mean(axis=0)

    # Three standard errors of 150 experiments around 0.95 are 0.053.
    assert inside >= 0.90
    assert flagged <= 0.18


def test_default_intervals_are_neither_too_narrow_nor_too_wide(outcomes) -> None:
    """Over all, with a standard error of 0.008; of half the width they would hold 0.7."""
    inside, _, inside_half = np.concatenate([outcomes[one] for one in INDEPENDENT]).mean(axis=0)

    assert 0.935 <= inside <= 0.985
    assert 0.60 <= inside_half <= 0.80


def test_wandering_noise_is_flagged_in_most_experiments(outcomes) -> None:
    assert outcomes["wandering"].mean(axis=0)[1] > 0.55


def load_benchmark() -> ModuleType:
    """Scripts of `benchmarks` are no package, and one of them is called as the library is."""
    place = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
    spec = spec_from_file_location("coverage_benchmark", place)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["coverage_benchmark"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def equal_families(simulate) -> list[tuple[bool, bool, bool]]:
    """Pairs of simulated grids of one law, fitted and compared at 4 times their reach.

    Whether the law's interval holds the truth, whether the difference's holds 0, and whether a
    winner is declared.
    """
    estimator = Estimator(law=LAW, frontier="bins", refits=100, level=0.95, seed=0)
    outcomes = []
    for seed in range(0, EXPERIMENTS, 2):
        fits = []
        for offset in range(2):
            grid = simulate(noise=0.008, seed=seed + offset)
            (series,) = read_series(grid, None, lambda _: np.inf)
            fits.append(estimator.apply(series))
        target = 4 * fits[0].largest_measured
        truth = 80 * (target + np.exp(18.7)) ** -0.24 + 0.10
        (low,), (high,) = fits[0].interval(np.array([target]))
        (at,) = compare(fits[0], fits[1], (target,)).better_at
        decided = not 0.05 < at.probability_b_better < 0.95
        outcomes.append((low <= truth <= high, at.low <= 0 <= at.high, decided))
    return outcomes


def test_law_intervals_cover_when_whole_grids_are_simulated(equal_families) -> None:
    assert np.mean([law for law, _, _ in equal_families]) >= 0.88


def test_difference_intervals_cover_when_whole_grids_are_simulated(equal_families) -> None:
    assert np.mean([difference for _, difference, _ in equal_families]) >= 0.90


def test_equal_families_are_seldom_told_apart(equal_families) -> None:
    """Thresholds of 0.05 and 0.95 allow one in ten; 100 experiments may show 16 at 2 sigma."""
    assert np.mean([decided for _, _, decided in equal_families]) <= 0.16
