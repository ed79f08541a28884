"""From a table to JSON: the keys, poor data, options."""

import json
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

from fitting import FitError, Options, analyse

FAST = Options(refits=100)

FIT_KEYS = {
    "study", "dataset", "schedule", "task", "metric", "family", "law", "parameters", "n_points",
    "n_held_out", "rmse", "held_out", "predictions",
}  # fmt: skip
COMPARISON_KEYS = {
    "study", "dataset", "schedule", "task", "metric", "a", "b", "crossing_gflops", "crossing_low",
    "crossing_high", "better_at", "verdict",
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(simulate) -> pd.DataFrame:
    late = simulate("mammut", law=(200.0, 19.4, 0.275, 0.08), seed=1)
    return pd.concat([simulate("clip"), late], ignore_index=True)


def spoilt(points: pd.DataFrame, family: str, **columns: object) -> pd.DataFrame:
    """`points` with some columns of one family replaced."""
    changed = points[points["family"] == family].assign(**columns)
    return pd.concat([points[points["family"] != family], changed], ignore_index=True)


def reason(points: pd.DataFrame, family: str = "clip", options: Options = FAST) -> str:
    """Why `family` could not be fitted, when the other family could."""
    analysis = analyse(points, options)
    (failure,) = analysis.failures
    assert failure.family == family
    assert len(analysis.fits) == 1
    return failure.reason


def test_json_has_the_promised_keys_and_only_plain_values(pair: pd.DataFrame) -> None:
    result = analyse(pair, Options(refits=100, max_compute=1e11), ["clip", "mammut"]).to_json()

    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert set(result) >= {"fits", "comparisons", "failures"}
    for fit in result["fits"]:
        assert set(fit) >= FIT_KEYS
        assert list(fit["parameters"]) == ["A", "lnB", "alpha", "E"]
        assert set(fit["held_out"]) == {"rmse", "mae", "bias"}
        for prediction in fit["predictions"]:
            assert set(prediction) >= {"compute_gflops", "error", "low", "high"}
            assert 0 <= prediction["low"] <= prediction["error"] <= prediction["high"] <= 1
    (comparison,) = result["comparisons"]
    assert set(comparison) >= COMPARISON_KEYS
    for at in comparison["better_at"]:
        assert set(at) >= {"compute_gflops", "probability_b_better", "difference", "low", "high"}


def test_an_infinite_interval_is_null_in_json(pair: pd.DataFrame) -> None:
    """Two plateaus far apart determine no law between them."""
    gflops = np.tile([1e6, 1.1e6, 1.2e6, 1e12, 1.1e12, 1.2e12], 2)
    error = np.tile([0.9, 0.8999, 0.8998, 0.3, 0.2999, 0.2998], 2)
    rows = pair[pair["family"] == "clip"].head(12)
    rows = rows.assign(compute_gflops=gflops, error=error, trial=range(12))
    options = Options(refits=100, law="saturating", frontier="pareto", targets=(1e9,))

    (fit,) = json.loads(json.dumps(analyse(rows, options).to_json(), allow_nan=False))["fits"]

    assert fit["status"] in ("ambiguous", "not_converged")
    assert fit["predictions"][0]["high"] is None


def test_held_out_cells_change_nothing_but_the_score(pair: pd.DataFrame) -> None:
    beyond = pair["compute_gflops"] > 1e11
    worse = pair.assign(error=np.where(beyond, pair["error"] * 0.5, pair["error"]))
    options = Options(refits=100, max_compute=1e11, targets=(1e12,))

    here, there = (analyse(points, options).to_json()["fits"] for points in (pair, worse))

    for one, other in zip(here, there, strict=True):
        assert one["parameters"] == other["parameters"]
        assert one["predictions"] == other["predictions"]
        assert one["n_held_out"] > 0
        assert one["held_out"]["bias"] < other["held_out"]["bias"]


def test_held_out_score_is_small_where_the_law_holds(pair: pd.DataFrame) -> None:
    fits = analyse(pair, Options(refits=100, max_compute=1e11)).fits

    for fit in fits:
        assert fit.score is not None
        assert abs(fit.score.bias) <= fit.score.mae <= fit.score.rmse < 0.03


def test_each_study_may_hold_out_its_own_range(pair: pd.DataFrame) -> None:
    other = pair.assign(study="other")
    options = Options(refits=100, max_compute={"other": 1e11})

    fits = analyse(pd.concat([pair, other]), options).fits

    assert [len(fit.held_out) > 0 for fit in fits] == [True, True, False, False]


def test_repeated_rows_count_once_and_are_counted(pair: pd.DataFrame) -> None:
    repeated = pd.concat([pair, pair.head(20)], ignore_index=True)

    here, there = (analyse(points, FAST).to_json()["fits"] for points in (pair, repeated))

    assert there[0]["left_out"].pop("repeats another row") == 20
    assert there == here


def test_order_of_rows_does_not_matter(pair: pd.DataFrame) -> None:
    shuffled = pair.sample(frac=1, random_state=0)

    here, there = (
        analyse(points, FAST, compare=["clip", "mammut"]).to_json() for points in (pair, shuffled)
    )

    assert there == here


def test_the_digest_is_that_of_the_fitted_cells_in_any_order(pair: pd.DataFrame) -> None:
    beyond = pair["compute_gflops"] > 1e11
    options = Options(refits=100, max_compute=1e11, calibrate=False)
    tables = (
        pair,
        pair.sample(frac=1, random_state=0),
        pair.assign(error=np.where(beyond, 0.9 * pair["error"], pair["error"])),
        pair.assign(error=np.where(beyond, pair["error"], 0.999 * pair["error"])),
    )

    here, shuffled, held_out, fitted = (
        [fit["data_sha256"] for fit in analyse(table, options).to_json()["fits"]]
        for table in tables
    )

    assert len(set(here)) == 2
    assert here == shuffled == held_out
    assert not set(here) & set(fitted)


def test_the_digest_can_be_made_from_the_table_alone(pair: pd.DataFrame) -> None:
    rows = pair[pair["family"] == "clip"]
    lines = sorted(
        f"{float(gflops)!r},{float(error)!r},{float(seen)!r}\n"
        for gflops, error, seen in zip(
            rows["compute_gflops"], rows["error"], rows["samples_seen"], strict=True
        )
    )

    report = analyse(rows, FAST).to_json()

    assert report["fits"][0]["data_sha256"] == sha256("".join(lines).encode()).hexdigest()
    assert report["versions"]["numpy"] == np.__version__
    assert set(report["versions"]) == {"python", "numpy", "scipy", "pandas"}


def test_equal_errors_of_different_seeds_are_different_cells(pair: pd.DataFrame) -> None:
    twice = pd.concat([pair.assign(seed=0), pair.assign(seed=1)], ignore_index=True)

    fits = analyse(twice, FAST).to_json()["fits"]

    assert "repeats another row" not in fits[0]["left_out"]
    assert fits[0]["n_cells"] == 2 * int((pair["family"] == "clip").sum())


def test_three_points_are_refused(pair: pd.DataFrame) -> None:
    few = pd.concat([pair[pair["family"] == "mammut"], pair[pair["family"] == "clip"].iloc[::30]])

    assert "3 cells" in reason(few)


def test_a_frontier_of_four_points_is_refused(pair: pd.DataFrame) -> None:
    cells = pair[pair["family"] == "clip"].sort_values("compute_gflops").iloc[::10]
    few = pd.concat(
        [
            pair[pair["family"] == "mammut"],
            cells.assign(error=[0.9, 0.8, 0.8, 0.7, 0.7, 0.7, 0.5, 0.5]),
        ]
    )

    assert "frontier of 8 cells has 4 points" in reason(few)


def test_cells_of_one_compute_are_refused(pair: pd.DataFrame) -> None:
    assert "all at 5e+09 GFLOPs" in reason(spoilt(pair, "clip", compute_gflops=5e9))


def test_percent_is_not_taken_for_a_fraction(pair: pd.DataFrame) -> None:
    clip = pair.loc[pair["family"] == "clip", "error"]
    percent = spoilt(pair, "clip", error=100 * clip)
    negative = spoilt(pair, "clip", error=1 - 100 * (1 - clip))

    assert "give fractions, not percent" in reason(percent)
    assert "give fractions, not percent" in reason(negative)


def test_a_loss_may_exceed_one(pair: pd.DataFrame) -> None:
    loss = pair.assign(metric="contrastive_loss", error=5 * pair["error"])

    analysis = analyse(loss, FAST)

    assert not analysis.failures
    assert all(prediction.high > 0 for prediction in analysis.fits[0].predict((1e7,)))


def test_chance_level_is_refused(pair: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    size = int((pair["family"] == "clip").sum())
    flat = spoilt(pair, "clip", error=0.999 + 0.0005 * rng.standard_normal(size))
    scattered = spoilt(pair, "clip", error=np.clip(0.98 + 0.015 * rng.standard_normal(size), 0, 1))

    assert "at chance" in reason(flat)
    assert "does not fall with compute" in reason(scattered)


def test_nan_is_refused_with_its_number(pair: pd.DataFrame) -> None:
    clip = pair.loc[pair["family"] == "clip", "error"].copy()
    clip.iloc[:2] = np.nan

    assert "2 of 72 cells have no finite error" in reason(spoilt(pair, "clip", error=clip))


def test_missing_compute_is_refused(pair: pd.DataFrame) -> None:
    assert "no positive, finite compute" in reason(spoilt(pair, "clip", compute_gflops=0.0))


def test_nothing_left_below_the_threshold_is_refused(pair: pd.DataFrame) -> None:
    options = Options(refits=100, max_compute=1e6)

    with pytest.raises(
        FitError, match=r"none of 2 series could be fitted:\n.*0 cells at or below"
    ):
        analyse(pair, options)


def test_a_failed_contestant_leaves_no_comparison(pair: pd.DataFrame) -> None:
    analysis = analyse(spoilt(pair, "clip", error=np.nan), FAST, compare=["clip", "mammut"])

    assert analysis.comparisons == ()
    assert [failure.family for failure in analysis.failures] == ["clip"]


@pytest.mark.parametrize(
    ("families", "message"),
    [
        (["clip", "mamut"], r"'mamut'; did you mean 'mammut'\? \(there are: clip, mammut\)"),
        (["clip"], "two different families"),
        (["clip", "clip"], "two different families"),
    ],
)
def test_wrong_families_are_answered_with_the_right_ones(pair, families, message) -> None:
    with pytest.raises(FitError, match=message):
        analyse(pair, FAST, compare=families)


def test_missing_columns_are_named(pair: pd.DataFrame) -> None:
    with pytest.raises(FitError, match="lacks the columns schedule, compute_gflops"):
        analyse(pair.drop(columns=["schedule", "compute_gflops"]), FAST)


def test_an_empty_table_is_refused(pair: pd.DataFrame) -> None:
    with pytest.raises(FitError, match="no rows"):
        analyse(pair.head(0), FAST)


def test_every_wrong_option_is_reported_at_once() -> None:
    with pytest.raises(FitError) as caught:
        Options(law="no", frontier="no", max_compute=-1.0, targets=(0.0,), refits=5, level=95)

    for word in ("law", "frontier", "max_compute", "targets", "refits", "level"):
        assert word in str(caught.value)


def test_fitting_imports_neither_torch_nor_the_other_package() -> None:
    program = "import sys, fitting; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    forbidden = {"torch", "ray", "sqlalchemy", "scaling", "matplotlib", "pandas"}
    assert not forbidden & set(done.stdout.split())
