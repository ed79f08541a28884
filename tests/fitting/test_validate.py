import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitting import FitError, Options, analyse
from fitting.estimator import Estimator
from fitting.series import Series, Setting
from fitting.series_fit import SeriesFit
from fitting.validate import Backtest, Case, backtest
from fitting.validate_named import estimators_named
from fitting.validate_scores import Score, common_cases, ratio_bin

SATURATING = Options(law="saturating").estimator
APPENDIX = pd.read_csv(
    StringIO("""\
threshold dataset      schedule task   family n rmse mae
2.5e11    datacomp_1b  const    i2t    clip   2 0.73 0.63
2.5e11    datacomp_1b  const    t2i    clip   2 2.17 1.97
2.5e11    datacomp_1b  const    t2i    mammut 1 1.62 1.62
2.5e11    datacomp_1b  const    acc1   clip   2 2.12 1.84
2.5e11    datacomp_1b  const    acc1   mammut 1 3.05 3.05
2.5e11    datacomp_1b  cosine   i2t    clip   3 0.62 0.59
2.5e11    datacomp_1b  cosine   i2t    mammut 3 1.60 1.54
2.5e11    datacomp_1b  cosine   t2i    clip   3 0.80 0.79
2.5e11    datacomp_1b  cosine   t2i    mammut 3 0.65 0.61
2.5e11    datacomp_1b  cosine   acc1   clip   3 0.51 0.42
2.5e11    datacomp_1b  cosine   acc1   mammut 3 0.61 0.57
2.5e11    relaion2b-en cosine   i2t    mammut 2 0.73 0.72
2.5e11    relaion2b-en cosine   t2i    mammut 2 1.56 1.56
2.5e11    relaion2b-en cosine   acc1   mammut 2 0.76 0.57
5e11      datacomp_1b  const    i2t    clip   1 0.80 0.80
5e11      datacomp_1b  const    t2i    clip   1 2.18 2.18
5e11      datacomp_1b  const    acc1   clip   1 2.01 2.01
5e11      datacomp_1b  cosine   i2t    clip   2 0.44 0.33
5e11      datacomp_1b  cosine   i2t    mammut 2 1.11 1.07
5e11      datacomp_1b  cosine   t2i    clip   2 0.05 0.04
5e11      datacomp_1b  cosine   t2i    mammut 2 0.41 0.40
5e11      datacomp_1b  cosine   acc1   clip   2 0.37 0.32
5e11      datacomp_1b  cosine   acc1   mammut 2 0.72 0.61
5e11      relaion2b-en cosine   i2t    mammut 1 0.54 0.54
5e11      relaion2b-en cosine   t2i    mammut 1 0.31 0.31
5e11      relaion2b-en cosine   acc1   mammut 1 0.20 0.20
"""),
    sep=r"\s+",
)
"""ImageNet-1k and COCO retrieval: held-out points, RMSE and MAE in percentage points that another
program found, with the reference study's binning for training cells and for held-out points."""
METRICS = {"i2t": "text_retrieval_recall@5", "t2i": "image_retrieval_recall@5", "acc1": "acc1"}


def test_held_out_errors_are_those_of_another_program(published: pd.DataFrame) -> None:
    rows = published[published["task"].isin(["imagenet1k", "mscoco_captions"])]
    rows = rows[rows["family"].isin(["clip", "mammut"])]
    rows = rows[rows["schedule"] != "const-cooldown"]
    estimator = Options(frontier="published").estimator

    tested = backtest(rows, {"study": estimator}, origins=(2.5e11, 5e11), truth="published")

    found = {
        (one.origin, one.setting.dataset, one.setting.schedule, one.setting.metric, one.family): (
            one.score.n,
            round(100 * one.score.rmse, 2),
            round(100 * one.score.mae, 2),
        )
        for one in tested.by_series()
    }
    assert len(found) == len(APPENDIX)
    for row in APPENDIX.itertuples():
        key = (row.threshold, row.dataset, row.schedule, METRICS[row.task], row.family)
        assert found[key] == (row.n, row.rmse, row.mae)


def test_a_threshold_gives_the_held_out_score_of_a_fit(figure_1: pd.DataFrame) -> None:
    tested = backtest(figure_1, {"saturating": SATURATING}, origins=(2.5e11,))

    analysis = analyse(figure_1, Options(law="saturating", max_compute=2.5e11, refits=100))

    for fit in analysis.fits:
        (scored,) = (one for one in tested.by_series() if one.family == fit.series.family)
        assert fit.score is not None
        assert scored.score.rmse == pytest.approx(fit.score.rmse)
        assert scored.score.bias == pytest.approx(fit.score.bias)


def by_case(tested: Backtest) -> dict[tuple[str, str, float, float], Case]:
    return {(one.estimator, one.family, one.origin, one.gflops): one for one in tested.cases}


def said(one: Case) -> tuple[float, ...]:
    return one.predicted, one.confidence, one.prediction, one.ratio


@pytest.mark.parametrize("origins", ["rolling", (1e10, 3e11)], ids=str)
@pytest.mark.parametrize("truth", ["bins", "published", "pareto"])
def test_changing_held_out_errors_changes_no_prediction(
    figure_1: pd.DataFrame, origins: Any, truth: str
) -> None:
    """Above 3e11 GFLOPs errors shrink, rise to chance or swap; predictions from below stay."""
    cut = 3e11
    estimators = {
        "bins": SATURATING,
        "published": Options(frontier="published").estimator,
    }
    rng = np.random.default_rng(0)
    beyond = (figure_1["compute_gflops"] > cut).to_numpy()
    before = by_case(backtest(figure_1, estimators, origins=origins, truth=truth))
    seen = 0

    for change in (
        lambda error: 0.5 * error,
        lambda error: 0 * error + 0.99,
        rng.permutation,
    ):
        changed = figure_1.copy()
        changed.loc[beyond, "error"] = change(changed.loc[beyond, "error"].to_numpy())
        after = by_case(backtest(changed, estimators, origins=origins, truth=truth))
        for case in before.keys() & after.keys():
            if case[2] <= cut:
                one, other = before[case], after[case]
                # Sums over other numbers of targets may differ in the last digit.
                assert said(one) == pytest.approx(said(other), rel=1e-12)
                seen += one.measured != other.measured

    assert seen > 5


@dataclass(frozen=True, kw_only=True)
class Recording(Estimator):
    """An estimator that keeps the series it was shown."""

    seen: list[Series]

    def apply(self, series: Series) -> SeriesFit:
        self.seen.append(series)
        return super().apply(series)


def recording() -> Recording:
    values = {name: getattr(SATURATING, name) for name in SATURATING.__dataclass_fields__}
    return Recording(**values, seen=[])


def test_an_estimator_sees_no_cell_above_the_origin(simulate: Callable[..., Any]) -> None:
    estimator = recording()

    tested = backtest(simulate(), {"recording": estimator}, origins=(1e9, 1e10))

    low, high = estimator.seen
    assert low.gflops.max() <= 1e9 < high.gflops.max() <= 1e10
    assert len(low.error) == len(low.gflops)
    assert not low.is_held_out.any()
    assert {one.origin for one in tested.cases} == {1e9, 1e10}
    assert all(one.gflops > one.origin for one in tested.cases)


def test_origins_roll_through_powers_of_two_that_training_reaches(
    simulate: Callable[..., Any],
) -> None:
    estimator = recording()

    tested = backtest(simulate(), {"recording": estimator}, min_train=1e10)

    origins = sorted({one.origin for one in tested.cases})
    assert np.log2(origins) == pytest.approx(np.arange(34, 34 + len(origins)))
    assert all(series.gflops.max() >= 1e10 for series in estimator.seen)
    assert len(estimator.seen) == len(origins)


def test_without_a_minimum_training_reaches_a_128th_of_the_compute_in_any_unit(
    simulate: Callable[..., Any],
) -> None:
    points = simulate(noise=0.002)
    rescaled = points.assign(compute_gflops=points["compute_gflops"] / 2**20)

    here, there = (backtest(one, {"saturating": SATURATING}) for one in (points, rescaled))

    largest = points["compute_gflops"].max()
    reached = [one.gflops / one.ratio for one in here.cases]
    assert min(reached) >= largest / 128
    assert [one.measured for one in here.cases] == [one.measured for one in there.cases]
    np.testing.assert_allclose(
        [one.predicted for one in here.cases],
        [one.predicted for one in there.cases],
        rtol=1e-5,
    )


def test_a_series_that_follows_its_law_is_foretold(simulate: Callable[..., Any]) -> None:
    grid = simulate(noise=0.0, sizes=1, lengths=40)
    ln_compute = np.linspace(np.log(1e7), np.log(1e12), 40)
    grid["compute_gflops"] = np.exp(ln_compute)
    grid["error"] = 80 * (grid["compute_gflops"] + np.exp(18.7)) ** -0.24 + 0.10

    scores = backtest(grid, {"saturating": SATURATING}).by_ratio()

    assert [one.above for one in scores] == [1, 2, 4, 8, 16]
    assert all(one.score.rmse < 1e-6 for one in scores)


def test_the_interval_of_one_run_is_wider_than_that_of_the_law(figure_1: pd.DataFrame) -> None:
    tested = backtest(figure_1, {"saturating": SATURATING}, min_train=1e10)

    assert all(one.prediction > one.confidence for one in tested.cases)
    scores = [one.score for one in tested.by_ratio()]
    assert all(one.prediction_coverage >= one.confidence_coverage for one in scores)


SETTING = Setting("study", "shapes", "cosine", "task", "acc1")


def case(estimator: str = "a", gflops: float = 4.0, **changes: Any) -> Case:
    values = {
        "estimator": estimator,
        "setting": SETTING,
        "family": "clip",
        "origin": 2.0,
        "gflops": gflops,
        "ratio": gflops / 2,
        "measured": 0.5,
        "predicted": 0.52,
        "confidence": 0.01,
        "prediction": 0.03,
        "is_claimed": True,
    }
    return Case(**{**values, **changes})


def test_scores_are_of_misses_and_of_the_intervals_that_exist() -> None:
    score = Score.of(
        [
            case(measured=0.5, predicted=0.53, confidence=0.01, prediction=0.04),
            case(predicted=0.49, confidence=0.02, prediction=0.005, is_claimed=False),
            case(measured=0.5, predicted=0.54, confidence=np.inf, prediction=np.inf),
        ]
    )

    assert score.rmse == pytest.approx(np.sqrt((9 + 1 + 16) / 3) / 100)
    assert score.mae == pytest.approx(0.08 / 3)
    assert score.bias == pytest.approx(0.06 / 3)
    assert (score.n, score.n_series, score.n_intervals) == (3, 1, 2)
    assert (score.confidence_coverage, score.prediction_coverage) == (0.5, 0.5)
    assert score.prediction_half_width == pytest.approx(0.0225)
    assert (score.n_claimed, score.claimed_coverage) == (1, 1.0)


def test_only_points_that_every_estimator_predicted_are_compared() -> None:
    every = [case("a", 4.0), case("a", 8.0), case("b", 4.0)]

    common = common_cases(every, ("a", "b"))

    assert [(one.estimator, one.gflops) for one in common] == [("a", 4.0), ("b", 4.0)]


def test_a_law_that_losses_do_not_have_stops_no_other(simulate: Callable[..., Any]) -> None:
    """The anchored law needs the error of chance, which a loss does not have."""
    losses = simulate().assign(metric="validation_loss")
    losses["error"] *= 4
    estimators = estimators_named(["anchored", "saturating", "no-floor"])

    tested = backtest(losses, estimators, min_train=1e10)

    assert {one.estimator for one in tested.by_ratio()} == {"saturating", "no-floor"}
    assert {one.estimator for one in tested.untested} == {"anchored"}
    assert tested.to_json()["by_ratio"]


@pytest.mark.parametrize(
    ("ratio", "edges"),
    [(1.1, (1, 2)), (2, (1, 2)), (2.1, (2, 4)), (16, (8, 16)), (17, (16, np.inf))],
)
def test_a_bin_of_extrapolation_holds_its_upper_edge(
    ratio: float, edges: tuple[float, float]
) -> None:
    assert ratio_bin(ratio) == edges


def test_estimators_are_scored_on_the_same_points(figure_1: pd.DataFrame) -> None:
    estimators = {name: Options(frontier=name).estimator for name in ("bins", "pareto")}

    tested = backtest(figure_1, estimators, min_train=1e10)

    scores = tested.by_ratio()
    assert [one.estimator for one in scores[:1] + scores[-1:]] == ["bins", "pareto"]
    of_each = ([one for one in scores if one.estimator == name] for name in estimators)
    for one, other in zip(*of_each, strict=True):
        assert (one.above, one.score.n) == (other.above, other.score.n)


def test_what_cannot_be_tested_is_named_and_the_rest_is_tested(
    simulate: Callable[..., Any],
) -> None:
    good, lost = simulate("clip"), simulate("coca", seed=1)
    lost.loc[3, "error"] = np.nan
    small = simulate("cap").nsmallest(8, "compute_gflops")
    points = pd.concat([good, lost, small])

    tested = backtest(points, {"saturating": SATURATING}, origins=(1e10,))

    assert {one.family for one in tested.cases} == {"clip"}
    reasons = {one.family: one.reason for one in tested.untested}
    assert "1 of 72 cells have no finite error" in reasons["coca"]
    assert "no threshold of 1e+10 GFLOPs has cells on both sides" in reasons["cap"]


def test_a_cut_that_leaves_too_little_is_named(simulate: Callable[..., Any]) -> None:
    tested = backtest(simulate(), {"saturating": SATURATING}, origins=(3e7, 1e10))

    (untested,) = tested.untested
    assert (untested.origin, untested.estimator) == (3e7, "saturating")
    assert {one.origin for one in tested.cases} == {1e10}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"origins": (1e15,)}, "no threshold of 1e.15 GFLOPs has cells on both sides"),
        ({"origins": (-1.0, 1e10)}, "thresholds is -1; give positive, finite GFLOPs"),
        ({"origins": ()}, "no threshold was given"),
        ({"min_train": np.nan, "truth": "spiral"}, "unknown frontier 'spiral'.*min_train is nan"),
        ({"min_train": 1e15}, "none is above an origin whose training cells reach 1e.15 GFLOPs"),
    ],
    ids=str,
)
def test_bad_options_are_one_message(
    simulate: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(FitError, match=message):
        backtest(simulate(), {"saturating": SATURATING}, **options)


def test_estimators_of_different_levels_are_refused(simulate: Callable[..., Any]) -> None:
    estimators = {"a": SATURATING, "b": replace(SATURATING, level=0.9)}

    with pytest.raises(FitError, match="different levels"):
        backtest(simulate(), estimators)
    with pytest.raises(FitError, match="no estimator"):
        backtest(simulate(), {})


def test_the_report_is_strict_json(figure_1: pd.DataFrame) -> None:
    report = backtest(figure_1, {"saturating": SATURATING}, min_train=1e11).to_json()

    again = json.loads(json.dumps(report, allow_nan=False))

    assert again == report
    assert again["by_ratio"][-1]["ratio_up_to"] == 16
    assert again["options"]["origins"] == "rolling"
    assert {"setting", "miss"}.isdisjoint(again["cases"][0])
    assert again["cases"][0]["task"] == "imagenet1k"
