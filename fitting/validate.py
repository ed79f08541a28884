"""The backtest: what laws and estimators would have said of compute that came later."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fitting.errors import FitError
from fitting.frontier import method_named
from fitting.series import read_series
from fitting.validate_folds import Cuts
from fitting.validate_scores import common_cases, score_by_ratio, score_by_series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from fitting.errors import Floats
    from fitting.estimator import Estimator
    from fitting.series import Series, Setting
    from fitting.validate_folds import Fold
    from fitting.validate_scores import RatioScore, SeriesScore

    Watch = Callable[[Sequence[Series]], Iterable[Series]]
    """Hands on the series one by one and may tell somebody how many are done."""


@dataclass(frozen=True)
class Case:
    """One held-out point, and what an estimator said of it without having seen it."""

    estimator: str
    setting: Setting
    family: str
    origin: float
    """GFLOPs at which the series was cut."""
    gflops: float
    ratio: float
    """Compute of the point relative to the largest compute that was trained on."""
    measured: float
    predicted: float
    confidence: float
    """Half-width of the interval of the law on the side of the measured error; inf if the data do
    not determine the law."""
    prediction: float
    """The same of the interval of one new run."""
    is_claimed: bool
    """Whether the fit itself, without the held-out points, stood by the level of its intervals."""

    @property
    def miss(self) -> float:
        """Predicted minus measured error."""
        return self.predicted - self.measured


@dataclass(frozen=True)
class Untested:
    """A series, or one fold of it, that an estimator could not be tested on, and why."""

    setting: Setting
    family: str
    estimator: str | None
    """None if no estimator could."""
    origin: float | None
    """GFLOPs; None if the series has no folds."""
    reason: str


@dataclass(frozen=True, eq=False)
class Backtest:
    """Every case of every estimator, and the scores that follow from them."""

    estimators: tuple[str, ...]
    cuts: Cuts
    level: float
    cases: tuple[Case, ...]
    untested: tuple[Untested, ...]

    @cached_property
    def common(self) -> tuple[Case, ...]:
        """Cases of the points that all estimators predicted, which alone can be compared."""
        return common_cases(self.cases, self.estimators)

    def by_ratio(self) -> tuple[RatioScore, ...]:
        """Scores of each estimator in each bin of extrapolation, over common cases."""
        return score_by_ratio(self.common, self.estimators)

    def by_series(self) -> tuple[SeriesScore, ...]:
        """Scores of each estimator on each series from each origin, over common cases."""
        return score_by_series(self.common)

    def of(self, estimator: str) -> Mapping[tuple[Setting, str], Sequence[Case]]:
        """All cases of one estimator, common or not, by setting and family."""
        return self._by_estimator.get(estimator, {})

    @cached_property
    def _by_estimator(self) -> dict[str, dict[tuple[Setting, str], list[Case]]]:
        found: dict[str, dict[tuple[Setting, str], list[Case]]] = {}
        for one in self.cases:
            series = found.setdefault(one.estimator, {})
            series.setdefault((one.setting, one.family), []).append(one)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain Python values that strict JSON can hold; see `fitting.validate_report`."""
        from fitting.validate_report import backtest_entry

        return backtest_entry(self)


@dataclass(frozen=True)
class _Outcome:
    cases: list[Case] = field(default_factory=list)
    untested: list[Untested] = field(default_factory=list)


def backtest(
    points: pd.DataFrame,
    estimators: Mapping[str, Estimator],
    *,
    origins: Literal["rolling"] | Sequence[float] = "rolling",
    min_train: float | None = None,
    truth: str | None = None,
    watch: Watch = iter,
) -> Backtest:
    """Let every estimator predict what each series of `points` measured above each origin.

    For each origin an estimator gets the cells at or below it, takes its own frontier of them and
    fits; what it predicts are the points above the origin of the full data's frontier.

    `points` are as for `fitting.analyse`; `estimators` by the names that the scores will carry.
    `origins`, `min_train` (GFLOPs) and `truth` say where series are cut and what is predicted, see
    `Cuts`.

    Raises `FitError` if nothing could be tested or the options are wrong.
    """
    given = None if isinstance(origins, str) else tuple(sorted(origins))
    cuts = Cuts(origins=given, min_train=min_train, truth=truth)
    _check(estimators, cuts)
    tested = backtest_series(watch(read_series(points, None, lambda _: np.inf)), estimators, cuts)
    if not tested.cases:
        reasons: dict[str, str] = {}
        for one in tested.untested:
            reasons.setdefault(f"{one.setting} / {one.family}", one.reason)
        lines = [f"  {series}: {reason}" for series, reason in reasons.items()]
        raise FitError("\n".join(["nothing could be tested:", *lines]))
    return tested


def backtest_series(
    every: Iterable[Series], estimators: Mapping[str, Estimator], cuts: Cuts
) -> Backtest:
    """The same of series that were read already; it has no cases if nothing could be tested.

    All cells count, also those that a series holds out.
    """
    # Refits are drawn only where intervals are made of them.
    contestants = {
        name: one if one.interval == "bootstrap" else replace(one, refits=0)
        for name, one in estimators.items()
    }
    outcome = _Outcome()
    for series in every:
        _test(series, cuts, contestants, outcome)
    return Backtest(
        estimators=tuple(estimators),
        cuts=cuts,
        level=next(iter(estimators.values())).level,
        cases=tuple(outcome.cases),
        untested=tuple(outcome.untested),
    )


def _test(
    series: Series, cuts: Cuts, estimators: Mapping[str, Estimator], outcome: _Outcome
) -> None:
    try:
        folds = cuts.folds(series)
    except FitError as error:
        outcome.untested.append(Untested(series.setting, series.family, None, None, str(error)))
        return
    for fold in folds:
        for name, estimator in estimators.items():
            try:
                outcome.cases.extend(_cases_of(name, estimator, fold))
            except FitError as error:
                outcome.untested.append(
                    Untested(series.setting, series.family, name, fold.origin, str(error))
                )


def _cases_of(name: str, estimator: Estimator, fold: Fold) -> list[Case]:
    fit = estimator.apply(fold.training)
    predicted = fit.fit.predict(fold.targets)
    confidence, prediction = (
        _towards(fold.measured, predicted, *interval(fold.targets))
        for interval in (fit.interval, fit.new_run_interval)
    )
    return [
        Case(
            estimator=name,
            setting=fold.training.setting,
            family=fold.training.family,
            origin=fold.origin,
            gflops=float(fold.targets[i]),
            ratio=float(fold.targets[i]) / fold.reached,
            measured=float(fold.measured[i]),
            predicted=float(predicted[i]),
            confidence=float(confidence[i]),
            prediction=float(prediction[i]),
            is_claimed=fit.claim is not None,
        )
        for i in range(len(fold.targets))
    ]


def _towards(measured: Floats, predicted: Floats, low: Floats, high: Floats) -> Floats:
    """Width (t,) of an interval on the side of what was measured; inf if it has no end."""
    width = np.where(measured < predicted, predicted - low, high - predicted)
    return np.where(np.isfinite(high), width, np.inf)


def _check(estimators: Mapping[str, Estimator], cuts: Cuts) -> None:
    problems = []
    if not estimators:
        problems.append("no estimator was given")
    if len({one.level for one in estimators.values()}) > 1:
        problems.append("the estimators have different levels; their intervals cannot be compared")
    if cuts.origins == ():
        problems.append("no threshold was given")
    try:
        method_named(cuts.method)
    except FitError as error:
        problems.append(str(error))
    for name, values in (("thresholds", cuts.origins or ()), ("min_train", (cuts.min_train,))):
        wrong = [value for value in values if value is not None and not _is_compute(value)]
        if wrong:
            given = ", ".join(f"{value:g}" for value in wrong)
            problems.append(f"{name} is {given}; give positive, finite GFLOPs")
    if problems:
        raise FitError("; ".join(problems))


def _is_compute(value: float) -> bool:
    return bool(np.isfinite(value) and value > 0)
