from dataclasses import replace

import numpy as np

from fitting.calibration import LeaveOut
from fitting.series import Setting
from fitting.validate import Backtest, Case
from fitting.validate_choice import CHOSEN, choose
from fitting.validate_folds import Cuts


def cases(task: str, estimator: str, miss: float) -> list[Case]:
    return [
        Case(
            estimator=estimator,
            setting=Setting("study", "shapes", "cosine", task, "acc1"),
            family="clip",
            origin=1e9,
            gflops=ratio * 1e9,
            ratio=ratio,
            measured=0.5,
            predicted=0.5 + miss,
            confidence=0.01,
            prediction=0.02,
            is_claimed=True,
        )
        for ratio in (1.5, 3.0)
    ]


def backtest_of(*parts: list[Case]) -> Backtest:
    every = tuple(one for part in parts for one in part)
    return Backtest(estimators=("a", "b"), cuts=Cuts(), level=0.95, cases=every, untested=())


def test_each_task_is_scored_by_what_the_others_chose() -> None:
    """On x estimator a is perfect and b poor; y and z choose b, so x gets b."""
    tested = backtest_of(
        *(cases("x", "a", 0.0), cases("x", "b", 0.03)),
        *(cases("y", "a", 0.05), cases("y", "b", 0.01)),
        *(cases("z", "a", 0.05), cases("z", "b", 0.02)),
    )

    choice = choose(tested)

    assert choice.chosen == {"x": "b", "y": "b", "z": "b"}
    assert [one.above for one in choice.by_ratio()] == [1, 2]
    expected = np.sqrt((0.03**2 + 0.01**2 + 0.02**2) / 3)
    assert all(abs(one.score.rmse - expected) < 1e-12 for one in choice.by_ratio())
    assert {one.estimator for one in choice.cases} == {CHOSEN}


def test_one_estimator_is_no_choice() -> None:
    alone = replace(backtest_of(cases("x", "a", 0.0), cases("y", "a", 0.0)), estimators=("a",))

    assert choose(alone).chosen == {}


def test_what_has_no_others_gets_no_choice() -> None:
    tested = backtest_of(cases("x", "a", 0.0), cases("x", "b", 0.03))

    assert choose(tested).chosen == {}
    assert choose(tested, LeaveOut.FAMILY).cases == ()
