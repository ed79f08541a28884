"""Measurements with everything that defines them: what exports and lists are made of."""

import json
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, String, Text, cast, func, select

from scaling.errors import StoreError, unknown
from scaling.evals import lower_is_better
from scaling.store.queries import joined
from scaling.store.tables import AttemptRow, CellRow, MeasurementRow, StudyRow, TrialRow
from scaling.sweeps import CELL

CONVENTIONS = ("published", "lean", "full")
Chosen = Mapping[str, Collection[str]]
"""Allowed values by the name of a filter; an empty collection allows all."""

# Text as it stands in the file: JSON is read once for each trial, not for each measurement.
_COLUMNS: dict[str, Any] = {
    "study": StudyRow.name,
    "family": CellRow.family,
    "model": CellRow.model,
    "dataset": CellRow.dataset,
    "schedule": CellRow.schedule,
    "samples_seen": CellRow.samples_seen,
    "seed": CellRow.seed,
    "trial": TrialRow.id,
    "task": MeasurementRow.task,
    "metric": MeasurementRow.metric,
    "value": MeasurementRow.value,
    "epochs": MeasurementRow.epochs,
    "evaluation_set": MeasurementRow.evaluation_set,
    "skipped_images": MeasurementRow.skipped_images,
    "params": TrialRow.params,
    "gflops_per_sample_published": TrialRow.gflops_per_sample_published,
    "gflops_per_sample_lean": TrialRow.gflops_per_sample_lean,
    "gflops_per_sample_full": TrialRow.gflops_per_sample_full,
    "batch_size": TrialRow.batch_size,
    "learning_rate": TrialRow.learning_rate,
    "kind": TrialRow.kind,
    "identity": cast(TrialRow.identity, Text),
    "held_out_above_gflops": StudyRow.held_out_above_gflops,
    "study_source": StudyRow.source,
    "reference": MeasurementRow.source,
    "source": TrialRow.source,
    "state": cast(TrialRow.state, String),
    "attempt": MeasurementRow.attempt,
    "versions": cast(AttemptRow.versions, Text),
}
FILTERS = (
    "study",
    "family",
    "model",
    "dataset",
    "schedule",
    "task",
    "metric",
    "source",
    "state",
)
KEY = (*CELL, "trial")
"""What tells rows apart, and orders them."""
_AT_ONCE = 5_000


def tidy(connection: Connection, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """One row for each measurement that a study wants, ordered by `KEY`.

    Names are those of `scaling.exports.COLUMNS`. A measurement that two studies want has a row of
    each. Means over tasks (suites) are not in it: readers make them again.
    Raises `StoreError` if a filter names what no measurement has.
    """
    query = where(joined(select(*(c.label(name) for name, c in _COLUMNS.items()))), chosen)
    query = query.outerjoin(
        AttemptRow,
        (AttemptRow.trial_id == MeasurementRow.trial_id)
        & (AttemptRow.number == MeasurementRow.attempt),
    ).order_by(*(_COLUMNS[name] for name in KEY))
    explain_nothing(connection, chosen)
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query).mappings():
        yield _derived(dict(row))


def count(connection: Connection, chosen: Chosen) -> int:
    """How many rows `tidy` has."""
    return connection.scalar(where(joined(select(func.count())), chosen)) or 0


def where(query: "Select[Any]", chosen: Chosen) -> "Select[Any]":
    """Only what is `chosen`, of a query of joined measurements."""
    for name, values in chosen.items():
        if values:
            query = query.where(_COLUMNS[name].in_(list(values)))
    return query


def explain_nothing(connection: Connection, chosen: Chosen) -> None:
    """Raise `StoreError` with the nearest name if a filter names what no measurement has."""
    for name, values in chosen.items():
        if not values:
            continue
        column = _COLUMNS[name]
        there = set(connection.scalars(joined(select(column)).where(column.in_(list(values)))))
        for value in values:
            if value not in there:
                known = connection.scalars(joined(select(column)).distinct())
                raise StoreError(unknown(name, value, map(str, known)))


def _derived(row: dict[str, Any]) -> dict[str, Any]:
    """With error and total compute, which the store does not keep."""
    value, samples = row["value"], row["samples_seen"]
    is_number = isinstance(value, int | float)
    row["error"] = (
        value if not is_number or _is_error(row["metric"]) else 1 - value
    )  # What is no number is found by whoever writes or reads the row.
    for convention in CONVENTIONS:
        gflops = row[f"gflops_per_sample_{convention}"]
        known = isinstance(gflops, int | float) and isinstance(samples, int)
        row[f"compute_gflops_{convention}"] = gflops * samples if known else None
    row["identity"] = _canonical(row["identity"])
    row["versions"] = _canonical(row["versions"])
    return row


_is_error = lru_cache(maxsize=1024)(lower_is_better)


@lru_cache(maxsize=4096)
def _canonical(text: str | None) -> str | None:
    """JSON with its keys in order, so that the same content is the same text."""
    if text is None:
        return None
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text
