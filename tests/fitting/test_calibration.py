from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fitting import FitError, Options
from fitting.calibration import Calibration, LeaveOut, calibrate, calibrated_coverage
from fitting.series import Setting, read_series
from fitting.validate import Backtest, Case, backtest
from fitting.validate_folds import Cuts


def setting_of(task: str, dataset: str = "shapes") -> Setting:
    return Setting("study", dataset, "cosine", task, "acc1")


def cases(task: str, misses: np.ndarray, family: str = "clip") -> list[Case]:
    """Cases whose half-width is 0.01."""
    return [
        Case(
            estimator="a",
            setting=setting_of(task),
            family=family,
            origin=1e9,
            gflops=1e9 * (2 + i),
            ratio=2.0 + i,
            measured=0.5,
            predicted=0.5 + miss,
            confidence=0.005,
            prediction=0.01,
            is_claimed=True,
        )
        for i, miss in enumerate(misses)
    ]


def backtest_of(*parts: list[Case]) -> Backtest:
    every = tuple(one for part in parts for one in part)
    return Backtest(estimators=("a",), cuts=Cuts(), level=0.95, cases=every, untested=())


def test_the_factor_is_the_quantile_of_misses_in_half_widths() -> None:
    misses = np.linspace(-0.04, 0.04, 101)

    found = calibrate(
        backtest_of(cases("other", misses)), "a", setting_of("scored"), "clip", LeaveOut.TASK
    )

    assert found.factor == pytest.approx(np.quantile(np.abs(misses), 0.95) / 0.01)
    assert (found.n, found.n_series, found.is_calibrated) == (101, 1, True)
    assert str(found) == (
        "widened 3.84 times, from 101 held-out predictions of 1 series on other, without task "
        "scored"
    )


def test_intervals_are_never_narrowed() -> None:
    small = backtest_of(cases("other", np.full(50, 0.001)))

    assert calibrate(small, "a", setting_of("scored"), "clip").factor == 1.0


def test_fewer_than_30_predictions_are_too_few() -> None:
    few = backtest_of(cases("other", np.full(29, 0.05)))

    found = calibrate(few, "a", setting_of("scored"), "clip")

    assert not found.is_calibrated
    assert found.factor == 1.0
    assert str(found) == "uncalibrated: 29 held-out predictions, 30 are needed"
    assert calibrated_coverage(few, "a") == ()


@pytest.mark.parametrize(
    ("left_out", "n", "task"),
    [
        (LeaveOut.SERIES, 90, "scored"),
        (LeaveOut.TASK, 80, None),
        (LeaveOut.FAMILY, 90, "scored"),
        (LeaveOut.DATASET, 0, None),
    ],
)
def test_what_is_left_out_teaches_nothing_and_the_same_task_most(
    left_out: LeaveOut, n: int, task: str | None
) -> None:
    """Misses: of the series itself 90 half-widths, of its rival 2, of other tasks 2 as well."""
    tested = backtest_of(
        cases("scored", np.full(40, 0.9)),
        cases("scored", np.full(90, 0.02), family="mammut"),
        cases("other", np.full(50, 0.02)),
        cases("third", np.full(30, 0.02)),
    )

    found = calibrate(tested, "a", setting_of("scored"), "clip", left_out)

    assert (found.n, found.task) == (n, task)
    assert found.factor == pytest.approx(2.0 if n else 1.0)


def test_too_few_of_the_same_task_are_joined_by_the_others() -> None:
    rival = cases("scored", np.full(29, 0.02), family="mammut")

    found = calibrate(
        backtest_of(rival, cases("other", np.full(50, 0.02))), "a", setting_of("scored"), "clip"
    )

    assert (found.n, found.n_series, found.task) == (79, 2, None)


def test_an_unknown_estimator_is_named() -> None:
    with pytest.raises(FitError, match="no backtest of estimator 'b'"):
        calibrate(backtest_of(cases("other", np.zeros(40))), "b", setting_of("scored"), "clip")


def test_coverage_is_that_of_factors_from_other_tasks() -> None:
    """Misses of twice the half-width everywhere: never inside before, always after."""
    parts = [cases(task, np.full(40, 0.02)) for task in ("a", "b")]

    rows = calibrated_coverage(backtest_of(*parts), "a", LeaveOut.TASK)

    assert [one.above for one in rows] == [1, 2, 4, 8, 16]
    assert sum(one.n for one in rows) == 80
    assert {(one.before, one.after) for one in rows} == {(0.0, 1.0)}
    assert all(one.half_width == pytest.approx(0.02) for one in rows)


def calibration_of(factor: float) -> Calibration:
    return Calibration(
        estimator="a",
        left_out=LeaveOut.TASK,
        value="task",
        task=None,
        level=0.95,
        n=50,
        n_series=3,
        factor=factor,
    )


def test_a_calibrated_interval_is_the_wider_one_within_what_an_error_can_be(
    simulate: Callable[..., Any],
) -> None:
    (series,) = read_series(simulate(), None, lambda _: np.inf)
    fit = Options(refits=100).estimator.apply(series)
    gflops = np.array([1e12, 1e13])
    calibration = calibration_of(factor=2.0)

    low, high = calibration.interval(fit, gflops)

    run_low, run_high = fit.new_run_interval(gflops)
    np.testing.assert_allclose(high - low, 2 * (run_high - run_low))
    low, high = calibration_of(factor=1e3).interval(fit, gflops)
    np.testing.assert_array_equal(low, 0.0)
    np.testing.assert_array_equal(high, 1.0)


def test_published_intervals_hold_better_once_calibrated(published: pd.DataFrame) -> None:
    """Without the distribution-shift average, whose frontiers the law does not follow."""
    rows = published[published["family"].isin(["clip", "mammut"])]
    rows = rows[(rows["schedule"] == "cosine") & (rows["task"] != "imagenet_distribution_shift")]
    found = backtest(rows, {"a": Options(frontier="published").estimator}, min_train=1e10)

    covered = calibrated_coverage(found, "a")

    assert sum(one.n for one in covered) > 250
    assert all(one.after >= one.before for one in covered)
    weight = np.array([one.n for one in covered])
    pooled = np.average([one.after for one in covered], weights=weight)
    assert 0.93 <= pooled <= 0.99
