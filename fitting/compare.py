"""Two contestants compared: who has the lower error where, and where one overtakes the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

from fitting.errors import gflops_text
from fitting.slopes import SlopeAt, slopes_at
from fitting.verdict import verdict

if TYPE_CHECKING:
    from fitting.errors import Floats
    from fitting.series import Setting
    from fitting.series_fit import SeriesFit

FAR = 100.0
"""How far beyond the largest fitted compute a crossing is looked for."""
RESOLUTION = 400
"""Points of the search for crossings; 0.03 decades apart over 13 decades."""


@dataclass(frozen=True)
class Crossing:
    """Where the laws of a and b cross, in GFLOPs, with a bootstrap percentile interval."""

    gflops: float
    low: float | None
    """None if open: too many refits have the overtaker ahead from the smallest compute on."""
    high: float | None
    """None if open: too many refits do not cross within 100 times the largest compute."""
    overtaker: str
    """Who is ahead above the crossing."""
    share_crossing: float
    """Share of refits that cross in this direction."""
    is_measured: bool
    """Whether both contestants have fitted points on both sides of it."""

    @property
    def interval_text(self) -> str:
        """The interval in words, such as "2.7e10 to 2.0e11", or "above 2.7e10" if open."""
        if self.low is None or self.high is None:
            low = "" if self.low is None else f"above {gflops_text(self.low)}"
            high = "" if self.high is None else f"below {gflops_text(self.high)}"
            return low or high or "not bounded by these data"
        return f"{gflops_text(self.low)} to {gflops_text(self.high)}"


@dataclass(frozen=True)
class BetterAt:
    """The difference of the two predicted errors at one compute."""

    compute_gflops: float
    probability_b_better: float
    """Share of paired, independent refits in which b has the lower error.

    Without refits, which is a doubt of the comparison, from Welch's t.
    """
    difference: float
    """Error of a minus error of b: positive where b is better."""
    low: float
    """Ends of the interval of the difference: percentiles of the same refits, or Welch's t."""
    high: float
    extrapolation: float
    """Compute relative to the smaller of the two largest fitted computes."""
    is_measured: bool
    """Whether both contestants have cells, held out or not, of at least this compute."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What the laws of contestants `a` and `b` say about one setting."""

    setting: Setting
    a: str
    b: str
    crossing: Crossing | None
    better_at: tuple[BetterAt, ...]
    slopes: tuple[SlopeAt, ...]
    doubts: tuple[str, ...]
    """Why the comparison cannot be decided whatever the probabilities are."""
    verdict: str
    caveats: tuple[str, ...] = ()
    """Why its intervals and probabilities claim no level."""


def compare(a: SeriesFit, b: SeriesFit, targets: tuple[float, ...]) -> Comparison:
    """Compare two fitted series of one setting at the target computes (GFLOPs)."""
    names = a.series.family, b.series.family
    crossing = find_crossing(a, b)
    better_at = _better_at(a, b, targets)
    doubts, caveats = _doubts(a, b), _caveats(a, b)
    return Comparison(
        setting=a.series.setting,
        a=names[0],
        b=names[1],
        crossing=crossing,
        better_at=better_at,
        slopes=slopes_at(a, b, targets),
        doubts=doubts,
        verdict=verdict(names, crossing, better_at, doubts, caveats),
        caveats=caveats,
    )


def find_crossing(a: SeriesFit, b: SeriesFit) -> Crossing | None:
    """The crossing of the two laws that decides, if there is one.

    Laws can cross more than once. Crossings are looked for from the smallest compute that both
    fits hold to `FAR` times the largest. It is the one of largest compute inside the range that
    both fits hold, else the first beyond it, whoever overtakes whom: naming a before b says
    nothing of who should be ahead.
    """
    start, stop = _common_range(a, b)
    end = FAR * max(a.largest_fitted, b.largest_fitted)
    grid = np.geomspace(start, end, RESOLUTION)
    difference = (a.fit.predict(grid) - b.fit.predict(grid))[None]
    found = [(float(_choose(grid, difference, stop, sign=sign)[0]), sign) for sign in (1.0, -1.0)]
    crossings = [(at, sign) for at, sign in found if np.isfinite(at)]
    if not crossings:
        return None
    inside = [one for one in crossings if one[0] <= stop]
    at, sign = max(inside) if inside else min(crossings)
    exact = _bisect(a, b, grid, at)
    refits = np.array([np.inf])
    low: float | None = None
    high: float | None = None
    if a.refits is not None and b.refits is not None:
        refits = _choose(grid, a.refits.predict(grid) - b.refits.predict(grid), stop, sign=sign)
        low, high = _percentiles(refits, a.level, exact)
    return Crossing(
        gflops=exact,
        low=low,
        high=high,
        overtaker=(b if sign > 0 else a).series.family,
        share_crossing=float(np.mean(np.isfinite(refits))),
        is_measured=start <= exact <= stop,
    )


def _common_range(a: SeriesFit, b: SeriesFit) -> tuple[float, float]:
    """Compute between which both frontiers have points."""
    start = max(a.fit.gflops.min(), b.fit.gflops.min())
    return float(start), float(min(a.fit.gflops.max(), b.fit.gflops.max()))


def _choose(grid: Floats, difference: Floats, measured_to: float, *, sign: float) -> Floats:
    """Compute of the crossing of each refit (r,), for differences (r, t) on a grid (t,).

    Without a crossing in the direction of `sign`: -inf where the overtaker is ahead all along,
    else inf.
    """
    ahead = sign * difference
    crosses = (ahead[:, :-1] <= 0) & (ahead[:, 1:] > 0)
    inside = crosses & (grid[1:] <= measured_to)
    # The last crossing inside the measured range, else the first one of all.
    last_inside = crosses.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    step = np.where(inside.any(axis=1), last_inside, crosses.argmax(axis=1))
    row = np.arange(len(ahead))
    before, after = ahead[row, step], ahead[row, step + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(-before / (after - before), 0.0, 1.0)
    at = grid[step] * (grid[step + 1] / grid[step]) ** np.nan_to_num(share)
    always_ahead = np.where(np.all(ahead > 0, axis=1), -np.inf, np.inf)
    return np.where(crosses.any(axis=1), at, always_ahead)


def _bisect(a: SeriesFit, b: SeriesFit, grid: Floats, near: float) -> float:
    """The root of the difference next to `near`, to double precision."""
    step = min(max(int(np.searchsorted(grid, near)) - 1, 0), len(grid) - 2)
    low, high = float(grid[step]), float(grid[step + 1])

    def difference(gflops: float) -> float:
        at = np.array([gflops])
        return float((a.fit.predict(at) - b.fit.predict(at))[0])

    sign = np.sign(difference(high))
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if sign * difference(middle) > 0 else (middle, high)
    return float(np.sqrt(low * high))


def _percentiles(at: Floats, level: float, estimate: float) -> tuple[float | None, float | None]:
    """Ends of the percentile interval of the crossing, None where they lie at no compute."""
    ordered = np.sort(at)
    tail = int(np.floor((1 - level) / 2 * len(at)))
    low, high = float(ordered[tail]), float(ordered[-1 - tail])
    return (
        min(low, estimate) if np.isfinite(low) else None,
        max(high, estimate) if np.isfinite(high) else None,
    )


def _better_at(a: SeriesFit, b: SeriesFit, targets: tuple[float, ...]) -> tuple[BetterAt, ...]:
    """The difference at each target with its interval and the probability that b is better.

    Both come from the same refits, so that they cannot contradict each other. Single predictions
    get t intervals instead, which cover better there; in a difference the bias of resampled
    frontiers, always a little above the true one, cancels: in simulated grids of two equal
    families percentiles of the difference cover 0.95 to 1.00 (Welch's t 0.90 to 1.00), and a
    winner is declared in 0 to 11 % of the experiments, where 10 % are nominal
    (`tests/fitting/test_coverage.py`).
    """
    gflops = np.array(targets)
    difference = a.fit.predict(gflops) - b.fit.predict(gflops)
    low, high, probability = _welch(a, b, gflops)
    fitted_to = min(a.largest_fitted, b.largest_fitted)
    measured_to = min(a.largest_measured, b.largest_measured)
    if a.refits is not None and b.refits is not None:
        refits = a.refits.predict(gflops) - b.refits.predict(gflops)
        tails = (1 - a.level) / 2, (1 + a.level) / 2
        low, high = np.quantile(refits, tails, axis=0)
        wins = np.sum(refits > 0, axis=0) + 0.5 * np.sum(refits == 0, axis=0)
        # Half a win and half a loss more: r refits cannot tell a probability from 0 or 1.
        probability = (wins + 0.5) / (len(refits) + 1)
    return tuple(
        BetterAt(
            compute_gflops=target,
            probability_b_better=float(probability[i]),
            difference=float(difference[i]),
            low=float(min(low[i], difference[i])),
            high=float(max(high[i], difference[i])),
            extrapolation=target / fitted_to,
            is_measured=target <= measured_to,
        )
        for i, target in enumerate(targets)
    )


def _welch(a: SeriesFit, b: SeriesFit, gflops: Floats) -> tuple[Floats, Floats, Floats]:
    """Low and high end of the difference and probability that it is positive, (t,) each.

    Variances add, degrees of freedom after Welch 1947. Where a variance is unknown nothing is.
    """
    difference = a.fit.predict(gflops) - b.fit.predict(gflops)
    variance_a, variance_b = a.fit.standard_error(gflops) ** 2, b.fit.standard_error(gflops) ** 2
    variance = variance_a + variance_b
    known = np.isfinite(variance) & (variance > 0)
    half = np.where(np.isfinite(variance), 0.0, np.inf)
    spent = (
        variance_a[known] ** 2 / a.fit.freedom(gflops)[known]
        + variance_b[known] ** 2 / b.fit.freedom(gflops)[known]
    )
    degrees = variance[known] ** 2 / spent
    half[known] = stdtrit(degrees, (1 + a.level) / 2) * np.sqrt(variance[known])
    probability = np.full(len(gflops), 0.5)
    probability[known] = stdtr(degrees, difference[known] / np.sqrt(variance[known]))
    return difference - half, difference + half, probability


def _doubts(a: SeriesFit, b: SeriesFit) -> tuple[str, ...]:
    return tuple(
        f"the fit of {side.series.family} is {side.fit.status.value.replace('_', ' ')}"
        if not side.is_determined
        else f"{side.series.family} has too few cells to resample"
        for side in (a, b)
        if not side.is_determined or side.refits is None
    )


def _caveats(a: SeriesFit, b: SeriesFit) -> tuple[str, ...]:
    return tuple(
        f"no {100 * side.level:g} % claim for {side.series.family}: {side.doubt}"
        for side in (a, b)
        if side.is_determined and side.doubt
    )
