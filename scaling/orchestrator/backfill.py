"""Backfill: what is kept for a large trial trains small ones, if they end before it could start.

Small trials would otherwise start on each GPU that becomes free, and one that needs eight would
never start; and if nothing were allowed on the GPUs that are kept, they would idle until the last
of the eight is free. The rule is that of EASY backfilling with one reservation, which goes to the
first trial in the order that finds no place.

Source: Mu'alem & Feitelson 2001, doi:10.1109/71.932708.
"""

from collections.abc import Iterable
from math import inf, isfinite

SAFETY = 1.5
"""A trial may take so many times as long as expected without delaying the one that waits."""

_EPSILON = 1e-6


def moment_of(lacking: float, coming: Iterable[tuple[float, float]]) -> float:
    """When so much of something is there: `coming` are the moments and amounts.

    0 if nothing is lacking, infinite if too little comes.
    """
    reached = 0.0
    for moment, amount in sorted(coming):
        if lacking <= _EPSILON:
            break
        lacking, reached = lacking - amount, moment
    return reached if lacking <= _EPSILON else inf


def spare_seconds(start: float, now: float) -> float:
    """How long a trial may be expected to take that uses what is kept until `start`.

    None has time if it is not known when the waiting one can start.
    """
    return max(0.0, start - now) / SAFETY if isfinite(start) else 0.0
