"""Selection among laws by AICc or by a backtest, with every candidate shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.fit import fit
from fitting.prediction import Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitting.fit import Fit
    from fitting.frontier import Frontier
    from fitting.laws import Law
    from fitting.objective import Objective


@dataclass(frozen=True, eq=False)
class Candidate:
    """A law that was tried on a frontier."""

    law: Law
    fit: Fit | None
    """None if it cannot be fitted; `reason` then says why."""
    held_out: Score | None
    """Shown beside; it takes no part in the choice."""
    reason: str = ""
    backtest: Score | None = None
    """Misses from origins below the held-out range, see `fitting.selection_backtest`; None if the
    choice does not rest on them."""
    n_backtest: int = 0

    @property
    def aicc(self) -> float:
        """`Fit.aicc`; inf for a law that cannot be fitted."""
        return np.inf if self.fit is None else self.fit.aicc


def candidates(
    laws: Sequence[Law], best: Frontier, held_out: Frontier, objective: Objective
) -> tuple[Candidate, ...]:
    """Each of `laws` fitted to the same points by the same objective, by ascending AICc."""
    tried = []
    for law in laws:
        try:
            found = fit(law, best.gflops, best.error, objective)
        except FitError as error:
            tried.append(Candidate(law, None, None, str(error)))
        else:
            tried.append(Candidate(law, found, score(found, held_out)))
    return tuple(sorted(tried, key=lambda one: (one.aicc, len(one.law.parameters))))


def chosen(tried: Sequence[Candidate]) -> Fit:
    """The first fit among those with one optimum, else of all; `tried` is sorted, best first.

    Raises `FitError` if no law could be fitted.
    """
    fits = [one.fit for one in tried if one.fit is not None]
    if not fits:
        raise FitError("; ".join(f"{one.law.name}: {one.reason}" for one in tried))
    return next((one for one in fits if one.is_determined), fits[0])


def score(found: Fit, held_out: Frontier) -> Score | None:
    """The misses of a fit on a held-out frontier; None without points there."""
    if not len(held_out):
        return None
    return Score.of(found.predict(held_out.gflops) - held_out.error)
