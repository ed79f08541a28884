"""One series fitted: its frontier, law, refits, held-out score and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.fit import Fit, fit, student_t
from fitting.frontier import Frontier, frontier_of, held_out_frontier
from fitting.laws import LAWS
from fitting.likelihood import profile_interval
from fitting.objective import Objective
from fitting.prediction import Prediction, Score
from fitting.resample import Refits, Resampling, refit_all
from fitting.selection import Candidate, candidates, chosen, score
from fitting.selection_backtest import backtested

if TYPE_CHECKING:
    from fitting.calibration import Calibration
    from fitting.errors import Floats
    from fitting.laws import Law
    from fitting.series import Series

INTERVALS = {
    "t": "t with the larger of model-based and HC3 variance",
    "profile": "profile likelihood with the quantile of F(1, n - p)",
    "bootstrap": "percentiles of the refits",
}
"""How confidence intervals of a law are made, in words."""
DRAWN_OUT = "drawn out to hold the frontier of the surface that moved the cells as well"
"""Where a frontier's `model` is not None."""
FEWEST_POINTS = 5
"""Points of a frontier below which nothing is left to judge a law by."""
FULL_LAW = "saturating"
"""The law of the reference study, reported beside any other."""


@dataclass(frozen=True, eq=False)
class SeriesFit:
    """A series, its frontier and the law that was fitted to it."""

    series: Series
    frontier: Frontier
    held_out: Frontier
    """Points beyond `series.max_compute` that no cheaper cell beats; not fitted."""
    fit: Fit
    refits: Refits | None
    """None if too many resamples cannot be fitted; `notes` then says so."""
    level: float
    notes: tuple[str, ...]
    interval_method: str = "t"
    """A key of `INTERVALS`."""
    resampled: str = "cells"
    """What the refits drew again, one of `fitting.resample.KINDS`."""
    candidates: tuple[Candidate, ...] = ()
    """The laws that were chosen from, best first; empty if the law was given."""
    calibration: Calibration | None = None
    """What widens intervals of a new run in `predict`; None leaves them as the model has them."""

    @cached_property
    def full_law(self) -> Fit | None:
        """The reference study's law by its least squares; None if it cannot be fitted."""
        if self.fit.law is LAWS[FULL_LAW] and self.fit.objective == Objective():
            return self.fit
        try:
            return fit(LAWS[FULL_LAW], self.frontier.gflops, self.frontier.error)
        except FitError:
            return None

    @property
    def is_determined(self) -> bool:
        """Whether the fit has one optimum, so that its predictions mean something."""
        return self.fit.is_determined

    @property
    def claim(self) -> float | None:
        """The level that intervals claim, None where `doubt` withdraws it."""
        return None if self.doubt else self.level

    @property
    def doubt(self) -> str:
        """Why intervals claim no level; empty if they do."""
        found, tests = self.fit, self.fit.diagnostics
        if not found.is_determined:
            return f"the fit is {found.status.value.replace('_', ' ')}"
        if found.at_edge:
            names = " and ".join(found.at_edge)
            return f"{names} ended at the end of the search: the points do not determine the law"
        if tests.shows_misfit:
            return f"the law does not follow the points: {tests}"
        if self.interval_method == "bootstrap" and self.refits is None:
            return "there are no refits to make the interval of"
        return "" if tests.was_tested else str(tests)

    @property
    def largest_fitted(self) -> float:
        """Compute in GFLOPs of the most expensive cell that could be fitted."""
        return float(self.series.training[0].max())

    @property
    def largest_measured(self) -> float:
        """Compute in GFLOPs of the most expensive cell, held out or not."""
        return float(self.series.gflops.max())

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many rows were not fitted, by reason."""
        held_out = int(self.series.is_held_out.sum())
        counts = {
            "repeats another row": self.series.duplicates,
            f"held out (compute above {self.series.max_compute:.3g} GFLOPs)": held_out,
            **self.frontier.left_out,
        }
        return {reason: count for reason, count in counts.items() if count}

    @property
    def score(self) -> Score | None:
        """The held-out score, None without held-out points."""
        return score(self.fit, self.held_out)

    @property
    def interval_text(self) -> str:
        """How intervals are made, in words."""
        how = INTERVALS[self.interval_method]
        return how if self.frontier.model is None else f"{how}, {DRAWN_OUT}"

    def interval(self, gflops: Floats) -> tuple[Floats, Floats]:
        """Confidence interval of the law at the level of the analysis, low and high end (t,).

        By `interval_method`, within what the metric allows. A law that predicts more than that, as
        a power law does at small compute, is where its interval ends. Where a model moved the
        cells, the interval is drawn out to hold, as wide, around the model's own frontier too: a
        law that follows many points closely is no better than its shape, and theirs differ.
        """
        if self.interval_method == "profile":
            low, high = profile_interval(self.fit, gflops, self.level)
        elif self.interval_method == "bootstrap" and self.refits is not None:
            tails = (1 - self.level) / 2, (1 + self.level) / 2
            low, high = np.quantile(self.refits.predict(gflops), tails, axis=0)
            predicted = self.fit.predict(gflops)
            low, high = np.minimum(low, predicted), np.maximum(high, predicted)
        else:
            low, high = self.fit.interval(gflops, self.level)
        if self.frontier.model is not None:
            apart = self.frontier.model(gflops) - self.fit.predict(gflops)
            low = np.maximum(low + np.minimum(apart, 0.0), 0.0)
            high = high + np.maximum(apart, 0.0)
        return low, self._allowed(high, self.fit.predict(gflops))

    def new_run_interval(self, gflops: Floats) -> tuple[Floats, Floats]:
        """Prediction interval of one new point of the frontier, not calibrated, (t,) and (t,)."""
        if self.interval_method == "t" and self.frontier.model is None:
            low, high = self.fit.new_run_interval(gflops, self.level)
            return low, self._allowed(high, self.fit.predict(gflops))
        low, high = self.interval(gflops)
        predicted = self.fit.predict(gflops)
        quantile = student_t(self.level, self.fit.degrees_of_freedom)
        scatter = quantile * self.fit.scatter(gflops)
        below, above = (np.hypot(end - predicted, scatter) for end in (low, high))
        return np.maximum(predicted - below, 0.0), self._allowed(predicted + above, predicted)

    def _allowed(self, high: Floats, predicted: Floats) -> Floats:
        if not self.series.setting.is_fraction:
            return high
        return np.where(np.isfinite(high), np.minimum(high, np.maximum(predicted, 1.0)), high)

    def predict(self, targets: tuple[float, ...]) -> tuple[Prediction, ...]:
        """Predicted error at each target compute (GFLOPs)."""
        gflops = np.array(targets)
        columns = (
            gflops,
            self.fit.predict(gflops),
            *self.interval(gflops),
            gflops / self.largest_fitted,
            *(
                self.new_run_interval(gflops)
                if self.calibration is None
                else self.calibration.interval(self, gflops)
            ),
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return tuple(Prediction(*row) for row in rows)


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """What is done to every series alike."""

    law: Law | None
    """None chooses among all laws."""
    frontier: str
    refits: int
    level: float
    seed: int
    objective: Objective = field(default_factory=Objective)
    interval: str = "t"
    """A key of `INTERVALS`."""
    resample: str = "cells"
    """One of `fitting.resample.KINDS`."""
    chance_error: float | Mapping[str, float] | None = None
    """Error of a model that has learned nothing, for all tasks or by task; None leaves it to the
    series, and is 1 for a fraction where that does not know either."""
    falls_back: bool = False
    """Whether `FULL_LAW` by least squares takes the place of a law whose chance error is unknown,
    which a note then says."""
    backtests: bool = False
    """Whether laws are chosen by a backtest of the series, if it has one, in place of AICc."""

    def apply(self, series: Series) -> SeriesFit:
        """Check, fit and refit one series.

        Raises `FitError` if the series cannot be fitted.
        """
        series.check()
        series = self._with_chance(series)
        cells = series.cells
        best = frontier_of(self.frontier, cells)
        held_out = held_out_frontier(series.gflops, series.error, series.max_compute)
        laws, objective, notes = self._suited_to(series)
        if best.model is not None:
            notes.append(f"the interval is {INTERVALS[self.interval]}, {DRAWN_OUT}")
        needed = max(FEWEST_POINTS, min(len(law.parameters) for law in laws) + 1)
        if len(best) < needed:
            which = f"the {laws[0].name} law needs" if len(laws) == 1 else "the laws need"
            raise FitError(
                f"the {self.frontier} frontier of {len(cells.error)} cells has {len(best)} "
                f"points; {which} at least {needed}"
            )
        tried: tuple[Candidate, ...] = ()
        if self.law is None:
            tried = candidates(laws, best, held_out, objective)
            if self.backtests:
                tried = backtested(tried, series, self.frontier, objective)
            fitted = chosen(tried)
            notes.append(
                f"the {fitted.law.name} law was chosen {self._criterion(tried)} among "
                f"{len(tried)} laws; no interval counts the choice"
            )
        else:
            fitted = fit(laws[0], best.gflops, best.error, objective)
        refits = self._refits(series, fitted, notes)
        found = SeriesFit(
            series=series,
            frontier=best,
            held_out=held_out,
            fit=fitted,
            refits=refits,
            level=self.level,
            notes=tuple(notes),
            interval_method=self.interval,
            resampled=self.resample,
            candidates=tried,
        )
        if found.doubt:
            claim = f"no {100 * self.level:g} % claim: {found.doubt}"
            found = replace(found, notes=(*found.notes, claim))
        return found

    def _criterion(self, tried: tuple[Candidate, ...]) -> str:
        """By what the first of the candidates is the best."""
        if not self.backtests:
            return "by AICc"
        if not (n := tried[0].n_backtest):
            return "by AICc, since no origin of a backtest suits all of them,"
        return f"by RMSE of {n} predictions from rolling origins"

    def _suited_to(self, series: Series) -> tuple[list[Law], Objective, list[str]]:
        """The laws to try on a series, the objective, and what must be said about it."""
        is_fraction = series.setting.is_fraction
        chance = self._chance_error(series)
        objective = self.objective
        if objective.prior is not None and not is_fraction:
            objective = replace(objective, prior=objective.prior.without_floor())
        if chance is not None:
            every = LAWS.values() if self.law is None else [self.law]
            return [law.anchored_at(chance) for law in every], objective, []
        unknown = f"the error of chance is not known for {series.setting.metric}"
        if self.law is None:
            suited = [law for law in LAWS.values() if not law.needs_chance]
            return suited, objective, [f"no anchored law was tried: {unknown}"]
        if not self.law.needs_chance:
            return [self.law], objective, []
        if not self.falls_back:
            raise FitError(f"{unknown}, which the {self.law.name} law starts from")
        note = f"the {FULL_LAW} law by least squares, since {unknown}"
        return [LAWS[FULL_LAW]], Objective(), [note]

    def _chance_error(self, series: Series) -> float | None:
        """What the series knows; that of a model that is always wrong for other fractions."""
        given = series.chance_error
        if not series.setting.is_fraction:
            return given
        if given is not None and given > 1:
            raise FitError(
                f"a chance error of {given:g} where {series.setting.metric} allows 0 to 1: "
                "give a fraction"
            )
        return 1.0 if given is None else given

    def _with_chance(self, series: Series) -> Series:
        """The series with the error of chance that the options give it, if they do."""
        given = self.chance_error
        if isinstance(given, Mapping):
            given = given.get(series.setting.task)
        return series if given is None else replace(series, chance_error=given)

    def _refits(self, series: Series, fitted: Fit, notes: list[str]) -> Refits | None:
        kept = ~series.is_held_out
        how = Resampling(
            frontier=self.frontier, refits=self.refits, seed=self.seed, kind=self.resample
        )
        try:
            return refit_all(
                fitted.law,
                series.cells,
                how,
                scale=fitted.scale,
                run=None if series.run is None else series.run[kept],
                objective=fitted.objective,
            )
        except FitError as error:
            notes.append(f"no bootstrap: {error}")
            return None
