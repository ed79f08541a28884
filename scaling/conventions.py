"""How a crossing moves when forward compute is counted otherwise.

The published counting charges MaMMUT for vocabulary logits that are thrown away, and CoCa for a
second pass of its text tower; which of two families wins at which compute depends on it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from scaling.database import Database
from scaling.points import Selection, load_points
from scaling.store import Compute

if TYPE_CHECKING:
    from fitting import Options

Crossings = dict[str, float | None]
"""Crossing in GFLOPs by convention; None where the laws do not cross or a counting is unknown."""


def crossings_by_compute(
    db: Database, selection: Selection, options: "Options", comparisons: list[dict[str, Any]]
) -> list[Crossings]:
    """The crossing of each element of a report's `comparisons`, under every convention.

    The same estimator on the same measurements; only their compute changes, and with it bins and
    frontier. The held-out threshold stays the number that it is.
    """
    found: list[Crossings] = [{} for _ in comparisons]
    for compute in get_args(Compute):
        if compute == selection.compute:
            crossings = {_key(one): one["crossing_gflops"] for one in comparisons}
        else:
            crossings = _crossings(db, replace(selection, compute=compute), options)
        for entry, one in zip(found, comparisons, strict=True):
            entry[compute] = crossings.get(_key(one))
    return found


def _crossings(
    db: Database, selection: Selection, options: "Options"
) -> dict[tuple[str, ...], Any]:
    from fitting import FitError, analyse
    from fitting.options import FEWEST_REFITS
    from scaling.errors import ScalingError

    # Targets, intervals and their refits belong to the convention that was asked for.
    quick = replace(options, refits=FEWEST_REFITS, sensitivity=False, calibrate=False)
    try:
        points, _ = load_points(db, selection)
        found = analyse(points, quick, compare=selection.families).to_json()["comparisons"]
    except (FitError, ScalingError):
        return {}
    return {_key(one): one["crossing_gflops"] for one in found}


def _key(comparison: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        str(comparison[name])
        for name in ("study", "dataset", "schedule", "task", "metric", "a", "b")
    )
