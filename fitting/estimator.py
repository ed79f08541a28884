"""What is done to every series alike, from its frontier to its refits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fitting.errors import FitError
from fitting.fit import Fit, fit
from fitting.frontier import frontier_of, held_out_frontier
from fitting.laws import LAWS
from fitting.objective import Objective
from fitting.resample import Refits, Resampling, refit_all
from fitting.selection import Candidate, candidates, chosen
from fitting.selection_backtest import backtested
from fitting.series_fit import DRAWN_OUT, FEWEST_POINTS, FULL_LAW, INTERVALS, SeriesFit

if TYPE_CHECKING:
    from fitting.laws import Law
    from fitting.series import Series


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
