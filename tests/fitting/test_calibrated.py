"""Calibration wired into the analysis: on other series, on nothing held out, with its n."""

import json

import numpy as np
import pandas as pd
import pytest

from fitting import Options, analyse
from fitting.calibrated import Calibrator
from fitting.predict import Basis, Target, predict
from fitting.series import read_series

LIMIT = 2.5e11
QUICK = Options(refits=100, max_compute=LIMIT)


@pytest.fixture(scope="module")
def study(published: pd.DataFrame) -> pd.DataFrame:
    """The cosine runs of two families on two tasks; the law does not follow one of the tasks."""
    return published[
        (published["schedule"] == "cosine")
        & published["family"].isin(["clip", "mammut"])
        & published["task"].isin(["imagenet1k", "imagenet_distribution_shift"])
    ]


@pytest.fixture(scope="module")
def shifted(study: pd.DataFrame) -> pd.DataFrame:
    """One series of the study: clip under distribution shift."""
    return study[
        (study["task"] == "imagenet_distribution_shift")
        & (study["family"] == "clip")
        & (study["dataset"] == "datacomp_1b")
    ]


def test_new_runs_are_widened_and_laws_are_not(study: pd.DataFrame, shifted: pd.DataFrame) -> None:
    plain = Options(refits=100, max_compute=LIMIT, calibrate=False)

    (raw,), (wide,) = (
        analyse(shifted, options, calibrate_on=study).to_json()["fits"]
        for options in (plain, QUICK)
    )

    assert raw["calibration"] is None
    found = wide["calibration"]
    assert (found["status"], found["learned_on_task"]) == (
        "calibrated",
        "imagenet_distribution_shift",
    )
    assert found["n"] >= 30
    assert found["n_series"] == 3
    assert found["words"].startswith(
        f"widened {found['factor']:.2f} times, from {found['n']} held"
    )
    assert found["factor"] > 1.1
    for before, after in zip(raw["predictions"], wide["predictions"], strict=True):
        assert (after["error"], after["low"], after["high"]) == (
            before["error"],
            before["low"],
            before["high"],
        )
        half, widened = (one["new_high"] - one["error"] for one in (before, after))
        assert widened == pytest.approx(found["factor"] * half)
    assert json.loads(json.dumps(wide, allow_nan=False)) == wide


def test_what_is_held_out_calibrates_nothing(study: pd.DataFrame, shifted: pd.DataFrame) -> None:
    beyond = study["compute_gflops"] > LIMIT
    worse = study.assign(error=np.where(beyond, 0.5 * study["error"], study["error"]))

    here, there = (
        analyse(shifted, QUICK, calibrate_on=table).fits[0].calibration for table in (study, worse)
    )

    assert beyond.sum() > 10
    assert here == there


def test_a_series_is_not_calibrated_on_itself_even_under_another_study(
    study: pd.DataFrame, shifted: pd.DataFrame
) -> None:
    twin = shifted.assign(study="the same trials again", error=0.9 * shifted["error"])

    alone, beside = (
        analyse(shifted, QUICK, calibrate_on=table).fits[0].calibration
        for table in (study, pd.concat([study, twin]))
    )

    assert alone == beside


def test_a_series_alone_is_uncalibrated_and_says_so(shifted: pd.DataFrame) -> None:
    (fit,) = analyse(shifted, QUICK).to_json()["fits"]

    assert fit["calibration"]["status"] == "uncalibrated"
    assert fit["calibration"]["factor"] == 1.0
    assert fit["calibration"]["words"] == "uncalibrated: 0 held-out predictions, 30 are needed"


def test_intervals_of_refits_are_said_not_to_be_calibrated(
    study: pd.DataFrame, shifted: pd.DataFrame
) -> None:
    options = Options(refits=100, max_compute=LIMIT, interval="bootstrap")

    calibration = analyse(shifted, options, calibrate_on=study).fits[0].calibration

    assert calibration is not None
    assert not calibration.is_calibrated
    assert "(intervals made of refits are not backtested)" in str(calibration)


def test_a_task_of_few_predictions_learns_from_the_others(simulate) -> None:
    parts = [simulate(seed=seed).assign(task=task) for seed, task in enumerate(("small", "large"))]
    other = [
        simulate("mammut", seed=9).assign(task="small").head(25),
        *(simulate(family, seed=5).assign(task="large") for family in ("mammut", "coca")),
    ]
    table = pd.concat([*parts, *other], ignore_index=True)
    (series, *_) = read_series(parts[0], None, lambda _: np.inf)

    found = Calibrator(table, Options()).calibration(series)

    assert found.is_calibrated
    assert found.task in (None, "large")
    assert found.n_series >= 3


def test_a_forecast_by_compute_is_widened_by_the_same_factor(
    study: pd.DataFrame, shifted: pd.DataFrame
) -> None:
    target = Target(168.61, 12.8e9)
    plain = Options(refits=100, max_compute=LIMIT, calibrate=False)

    (raw,), (wide,) = (
        predict(shifted, target, options, calibrate_on=study) for options in (plain, QUICK)
    )

    factor = analyse(shifted, QUICK, calibrate_on=study).fits[0].calibration.factor
    for before, after in zip(raw.forecasts, wide.forecasts, strict=True):
        by_compute = after.basis is Basis.FRONTIER
        half, widened = (one.interval[1] - one.error for one in (before, after))
        assert widened == pytest.approx(half * (factor if by_compute else 1.0))
    entries = wide.to_json()["forecasts"]
    assert [one["calibration"] is not None for one in entries] == [False, True]
