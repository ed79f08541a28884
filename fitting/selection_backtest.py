"""Selection among laws by a backtest of the series itself, within what may be fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.fit import fit
from fitting.frontier import frontier_of
from fitting.prediction import Score
from fitting.validate_folds import Cuts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitting.errors import Floats
    from fitting.objective import Objective
    from fitting.selection import Candidate
    from fitting.series import Series
    from fitting.validate_folds import Fold


def backtested(
    tried: Sequence[Candidate], series: Series, method: str, objective: Objective
) -> tuple[Candidate, ...]:
    """The candidates with their backtest, by ascending RMSE of it; as they were if there is none.

    Origins roll through the cells at or below `series.max_compute`. From each, every law that can
    be fitted to the whole series is fitted to the frontier (by `method`) of what lies below, and
    predicts the frontier above. Only folds that all those laws can be fitted to count, so that all
    are judged by the same points.
    """
    fitted = [one for one in tried if one.fit is not None]
    try:
        folds = Cuts().folds(series.up_to(series.max_compute))
    except FitError:
        return tuple(tried)
    misses = [
        one for fold in folds if (one := _misses(fold, fitted, method, objective)) is not None
    ]
    if not misses:
        return tuple(tried)
    every = np.concatenate(misses, axis=1)
    tested = [
        replace(one, backtest=Score.of(miss), n_backtest=len(miss))
        for one, miss in zip(fitted, every, strict=True)
    ]
    tested.sort(key=_rmse)
    return (*tested, *(one for one in tried if one.fit is None))


def _misses(
    fold: Fold, tried: Sequence[Candidate], method: str, objective: Objective
) -> Floats | None:
    """Predicted minus measured error (laws, t); None if the fold does not determine every law."""
    try:
        fold.training.check()
        best = frontier_of(method, fold.training.cells)
        fits = [fit(one.law, best.gflops, best.error, objective) for one in tried]
    except FitError:
        return None
    return np.array([one.predict(fold.targets) - fold.measured for one in fits])


def _rmse(one: Candidate) -> float:
    return np.inf if one.backtest is None else one.backtest.rmse
