"""How to fit: every choice by name, checked at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.errors import FitError
from fitting.estimator import Estimator
from fitting.frontier import MODELS, check_method
from fitting.laws import law_named
from fitting.loss import loss_named
from fitting.objective import Objective, kappa_named
from fitting.prior import prior_named
from fitting.resample import KINDS
from fitting.series_fit import FULL_LAW, INTERVALS

if TYPE_CHECKING:
    from collections.abc import Callable

FEWEST_REFITS = 100
"""A 95 % interval of fewer refits would hang on its two outermost ones."""
BEST_LAW = "anchored"
"""With weights and prior the law of least held-out error, see `Options`."""
AUTO = "auto"
"""Chooses a law by AICc."""
AUTO_BACKTEST = "auto:backtest"
"""Chooses a law by what it predicted from rolling origins below the held-out range."""
CHOICES = (AUTO, AUTO_BACKTEST)
DEFAULT = "default"
"""Leaves a choice to `Options`."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to fit; every problem of the options is reported at once, as a `FitError`.

    **The default estimator** is the law anchored at chance with weights `power:0.5` and the weak
    prior. On the published series (rolling origins, training reaches 1e10 GFLOPs) its held-out
    RMSE is 1.7, 2.0 and 2.5 points at 2-4, 4-8 and 8-16 times the compute, that of the
    four-parameter law by least squares 3.1, 4.8 and 6.2, both with intervals of one new run that
    hold 0.90 to 0.96; its median interval is half as wide.

    Two cases have another default, the four-parameter law by plain least squares: the frontier
    `published`, so that published coefficients are reproduced, and losses, whose error of chance
    is not known. Any law that is named, but `anchored` and `auto`, is fitted by plain least
    squares unless weights or prior are named too.
    """

    law: str = DEFAULT
    """A name of `fitting.laws.LAWS`; `auto` chooses by AICc, `auto:backtest` by rolling origins
    below `max_compute`; see above for the default."""
    frontier: str = "bins"
    weights: str = DEFAULT
    """`equal`, or `power:KAPPA`: standard deviation proportional to error to the power KAPPA."""
    loss: str = "squares"
    """`squares`, `log` (squares of logarithms), `huber[:DELTA]` or `log-huber[:DELTA]`."""
    prior: str = DEFAULT
    """`none` or `weak`; the same for every contestant."""
    interval: str = DEFAULT
    """How the interval of a law is made: `t`, `profile` or `bootstrap`; by default t, but for the
    frontier `model`, whose points share one fitted surface, bootstrap."""
    resample: str = DEFAULT
    """What the bootstrap draws again: `cells`, `points` of the frontier, `runs` (trials), or the
    sizes and samples seen of a `grid`; by default cells, but for the frontier `model` the grid."""
    chance_error: float | Mapping[str, float] | None = None
    """Error of a model that has learned nothing, for all tasks or by task; None takes it from the
    table of points, or 1 for a fraction."""
    max_compute: float | Mapping[str, float] | None = None
    """GFLOPs above which cells are held out, or that of each study; None holds out nothing."""
    targets: tuple[float, ...] = ()
    """Computes (GFLOPs) to predict at; by default the largest that all contestants of a setting
    have reached, and 10 times that."""
    refits: int = 1000
    level: float = 0.95
    seed: int = 0
    sensitivity: bool = False
    """Whether each comparison is repeated under other bins, ties, weights and floors."""
    calibrate: bool = True
    """Whether intervals of a new run are widened by what a backtest of other series teaches, see
    `fitting.calibrated`; intervals of laws never are."""

    def __post_init__(self) -> None:
        """Check every field."""
        problems = [*self._wrong_names(), *self._wrong_numbers()]
        if not problems and self._objective.kappa and self._objective.loss.in_logs:
            problems.append(
                f"loss {self.loss} takes weights equal: logarithms weigh errors already"
            )
        if problems:
            raise FitError("; ".join(problems))

    def _wrong_names(self) -> list[str]:
        problems = []
        checks: tuple[tuple[Callable[[str], object], str], ...] = (
            (_check_law, self.law),
            (check_method, self.frontier),
            (kappa_named, "equal" if self.weights == DEFAULT else self.weights),
            (loss_named, self.loss),
            (prior_named, "none" if self.prior == DEFAULT else self.prior),
        )
        for look_up, name in checks:
            try:
                look_up(name)
            except FitError as error:
                problems.append(str(error))
        for word, value, known in (
            ("interval", self.interval_name, INTERVALS),
            ("resample", self.resample_name, KINDS),
        ):
            if value not in known:
                problems.append(f"unknown {word} {value!r} (known: {', '.join(known)})")
        if self.interval_name == "profile" and "huber" in self.loss:
            problems.append(f"loss {self.loss} has no profile likelihood; take t or bootstrap")
        return problems

    def _wrong_numbers(self) -> list[str]:
        problems = []
        if not all(_is_compute(limit) for limit in _values(self.max_compute)):
            problems.append(f"max_compute is {self.max_compute}; give positive GFLOPs")
        if not all(_is_compute(chance) for chance in _values(self.chance_error)):
            problems.append(f"chance_error is {self.chance_error}; give a positive error")
        if not all(_is_compute(target) for target in self.targets):
            problems.append(f"targets are {self.targets}; give positive, finite GFLOPs")
        if self.refits < FEWEST_REFITS:
            problems.append(f"refits is {self.refits}; at least {FEWEST_REFITS} are needed")
        if not 0.5 <= self.level < 1:
            problems.append(f"level is {self.level}; give a fraction from 0.5 to below 1")
        if self.seed < 0:
            problems.append(f"seed is {self.seed}; it cannot be negative")
        return problems

    @property
    def law_name(self) -> str:
        """The law, with the default resolved."""
        if self.law != DEFAULT:
            return self.law
        return FULL_LAW if self.frontier == "published" else BEST_LAW

    @property
    def interval_name(self) -> str:
        """How the interval is made, with the default resolved."""
        if self.interval != DEFAULT:
            return self.interval
        return "bootstrap" if self.frontier in MODELS else "t"

    @property
    def resample_name(self) -> str:
        """What is drawn again, with the default resolved."""
        if self.resample != DEFAULT:
            return self.resample
        return "grid" if self.frontier in MODELS else "cells"

    @property
    def estimator(self) -> Estimator:
        """The options that concern one series."""
        return Estimator(
            law=None if self.law_name in CHOICES else law_named(self.law_name),
            backtests=self.law_name == AUTO_BACKTEST,
            frontier=self.frontier,
            refits=self.refits,
            level=self.level,
            seed=self.seed,
            objective=self._objective,
            interval=self.interval_name,
            resample=self.resample_name,
            chance_error=self.chance_error,
            falls_back=self.law == DEFAULT,
        )

    @property
    def _objective(self) -> Objective:
        loss = loss_named(self.loss)
        robust = self.law_name in (BEST_LAW, *CHOICES) and not loss.in_logs
        weights = ("power:0.5" if robust else "equal") if self.weights == DEFAULT else self.weights
        prior = self.prior
        if prior == DEFAULT:
            prior = "weak" if self.law_name == BEST_LAW else "none"
        return Objective(loss, kappa_named(weights), prior_named(prior))

    def max_compute_of(self, study: str) -> float:
        """GFLOPs above which cells of `study` are held out, inf for none."""
        if isinstance(self.max_compute, Mapping):
            return float(self.max_compute.get(study, np.inf))
        return np.inf if self.max_compute is None else float(self.max_compute)


def _values(given: float | Mapping[str, float] | None) -> tuple[float, ...]:
    if isinstance(given, Mapping):
        return tuple(given.values())
    return () if given is None else (given,)


def _check_law(name: str) -> None:
    if name in (DEFAULT, *CHOICES):
        return
    try:
        law_named(name)
    except FitError as error:
        raise FitError(f"{error}, or {' or '.join(CHOICES)}") from None


def _is_compute(value: float) -> bool:
    return bool(np.isfinite(value) and value > 0)
