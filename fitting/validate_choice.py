"""The choice of an estimator by held-out error, and what such a choice is worth.

The estimator that missed least on some points looks better there than it is. So for each task (or
family, or dataset) it is chosen by the others, and scored on the one that had no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fitting.calibration import LeaveOut
from fitting.validate_scores import Score, score_by_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitting.validate import Backtest, Case
    from fitting.validate_scores import RatioScore

CHOSEN = "chosen"
"""Name under which the choices are scored."""


@dataclass(frozen=True)
class Choice:
    """What the others chose for each task (or family, or dataset), and how it fared there."""

    left_out: LeaveOut
    chosen: Mapping[str, str]
    """The estimator chosen for each value; one that all other cases are of has none."""
    cases: tuple[Case, ...]
    """Its cases, under the estimator's name `CHOSEN`."""

    def by_ratio(self) -> tuple[RatioScore, ...]:
        """Scores in each bin of extrapolation."""
        return score_by_ratio(self.cases, (CHOSEN,))


def choose(backtest: Backtest, left_out: LeaveOut = LeaveOut.TASK) -> Choice:
    """Choose the estimator of smallest RMSE over the common cases of the others.

    Nothing is chosen where there is one estimator, or nothing to choose it by.
    """
    tested = {one.estimator for one in backtest.common}
    contestants = [name for name in backtest.estimators if name in tested]
    if len(contestants) < 2:
        return Choice(left_out, {}, ())
    parts: dict[str, list[Case]] = {}
    for one in backtest.common:
        parts.setdefault(left_out.key(one.setting, one.family), []).append(one)
    chosen: dict[str, str] = {}
    cases: list[Case] = []
    for value, own in parts.items():
        others = [one for other, part in parts.items() if other != value for one in part]
        if others:
            best = _best(others, contestants)
            chosen[value] = best
            cases += [replace(one, estimator=CHOSEN) for one in own if one.estimator == best]
    return Choice(left_out, chosen, tuple(cases))


def _best(cases: list[Case], estimators: list[str]) -> str:
    """The first of those with the smallest RMSE."""

    def rmse(name: str) -> float:
        return Score.of([one for one in cases if one.estimator == name]).rmse

    return min(estimators, key=rmse)
