"""Fits whose intervals of a new run are widened by what a backtest of the other series teaches."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from fitting.calibration import calibrate
from fitting.series import read_series
from fitting.validate import Backtest, backtest_series
from fitting.validate_folds import Cuts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from fitting.calibration import Calibration
    from fitting.options import Options
    from fitting.series import Series
    from fitting.series_fit import SeriesFit


class Calibrator:
    """What the series of one table teach about the intervals of one another.

    The backtest rolls its origins through the cells at or below each study's `max_compute` alone,
    so that nothing held out has a part in it, and draws no refits. A task is tested when a series
    of it asks for the first time; the others only if that task alone does not suffice.
    """

    def __init__(self, points: pd.DataFrame, options: Options) -> None:
        """Read `points`, a table as `fitting.analyse` takes it, for the estimator of `options`.

        Raises `FitError` if the table is wrong.
        """
        self._name = options.law_name
        self._options = options
        self._tested: dict[str, Backtest] = {}
        self._series: dict[str, list[Series]] = {}
        for one in read_series(points, None, options.max_compute_of):
            kept = one.up_to(one.max_compute)
            if len(kept.gflops):
                self._series.setdefault(one.setting.task, []).append(kept)

    def calibration(self, series: Series) -> Calibration:
        """The factor for `series`, learned without it."""
        own, every = [series.setting.task], list(self._series)
        found = self._learned(series, own)
        return found if found.is_calibrated else self._learned(series, every)

    def _learned(self, series: Series, tasks: Iterable[str]) -> Calibration:
        parts = [self._test(task) for task in tasks]
        cases = tuple(chain.from_iterable(one.cases for one in parts))
        tested = Backtest((self._name,), Cuts(), self._options.level, cases, ())
        found = calibrate(tested, self._name, series.setting, series.family)
        if self._options.interval_name == "bootstrap":
            return replace(found, reason="intervals made of refits are not backtested")
        return found

    def _test(self, task: str) -> Backtest:
        if task not in self._tested:
            # A backtest of intervals that are made of refits would draw refits for every fold.
            its = self._series.get(task, []) if self._options.interval_name != "bootstrap" else []
            estimators = {self._name: self._options.estimator}
            self._tested[task] = backtest_series(its, estimators, Cuts())
        return self._tested[task]


def calibrated(
    fits: Iterable[SeriesFit], points: pd.DataFrame, options: Options
) -> list[SeriesFit]:
    """Each fit with the calibration that the other series of `points` give it."""
    calibrator = Calibrator(points, options)
    return [replace(fit, calibration=calibrator.calibration(fit.series)) for fit in fits]
