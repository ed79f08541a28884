"""Training losses of other people's runs, at samples seen that are even in their logarithm."""

import math
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select

from scaling.store.imports.records import Curve
from scaling.store.tables import AttemptRow, CurveRow
from scaling.store.times import now

PER_DECADE = 20
"""Points kept of each factor of ten."""
_ATTEMPT = 1
"""The one attempt of an imported trial, which exists because curves are an attempt's."""


def thin(points: Mapping[int, float]) -> dict[int, float]:
    """The first point in each twentieth of a decade.

    The choice among early points stays as it is when a log grows, so that importing it again adds
    the later ones.
    """
    kept: dict[int, tuple[int, float]] = {}
    for samples, loss in sorted(points.items()):
        kept.setdefault(math.floor(PER_DECADE * math.log10(samples)), (samples, loss))
    return dict(kept.values())


def add_curves(connection: Connection, curves: Sequence[tuple[str, Curve]]) -> None:
    """Insert what is not there of each trial's curve; what is there stays as it is."""
    for trial_id, curve in curves:
        points = thin(curve.points)
        there = select(CurveRow.samples_seen).where(CurveRow.trial_id == trial_id)
        new = points.keys() - set(connection.scalars(there))
        if not new:
            continue
        attempts = select(AttemptRow.number).where(AttemptRow.trial_id == trial_id)
        if connection.scalar(attempts) is None:
            row = {"trial_id": trial_id, "number": _ATTEMPT, "started": now(), "ended": now()}
            connection.execute(insert(AttemptRow), {**row, "outcome": "imported"})
        rows = [
            {"trial_id": trial_id, "samples_seen": n, "loss": points[n], "attempt": _ATTEMPT}
            for n in sorted(new)
        ]
        connection.execute(insert(CurveRow), rows)
