"""Measurements by column: what fits are made of, read quickly however many there are.

What cells and trials say is read once for each cell and not again for each of its numbers; joined
rows as `scaling.store.queries.points` has them take about ten times as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, or_, select, tuple_

from scaling.store.queries import Compute, Filters, explain_nothing
from scaling.store.tables import CellRow, MeasurementRow, StudyRow, TrialRow

_OF_STUDIES = {"study": StudyRow.name}
_OF_CELLS = {
    "dataset": CellRow.dataset,
    "schedule": CellRow.schedule,
    "family": CellRow.family,
    "model": CellRow.model,
    "samples_seen": CellRow.samples_seen,
    "seed": CellRow.seed,
    "trial": CellRow.trial_id,
}
"""What cells are ordered by, after their study."""
_OF_MEASUREMENTS = {
    "task": MeasurementRow.task,
    "metric": MeasurementRow.metric,
    "value": MeasurementRow.value,
    "epochs": MeasurementRow.epochs,
}


class Head(NamedTuple):
    """What a study says of itself, without looking at what it has."""

    name: str
    source: str
    held_out_above_gflops: float | None


@dataclass(frozen=True)
class Metrics:
    """Which numbers: of any of `names`, of any of `pairs` (task, metric), and all of `studies`."""

    names: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    studies: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Columns:
    """Numbers of cells; the n-th element of each column is of the n-th number."""

    cells: Sequence[dict[str, Any]]
    """Of each cell that was measured or may have been: study, dataset, schedule, family, model,
    samples_seen, seed, trial, gflops_per_sample and params, ordered by all but the last two."""
    numbers: dict[str, Sequence[Any]]
    """cell (a position in `cells`), task, metric, value and epochs; in no order."""


def heads(connection: Connection) -> list[Head]:
    """All studies, in the order in which they were first recorded."""
    found = connection.execute(
        select(StudyRow.name, StudyRow.source, StudyRow.held_out_above_gflops).order_by(
            StudyRow.id
        )
    )
    return [Head(*row) for row in found]


def columns(
    connection: Connection, compute: Compute, filters: Filters, metrics: Metrics | None = None
) -> Columns:
    """The numbers of the cells that studies want, of `metrics` only if given.

    Raises `StoreError` if nothing matches because a filter names what is not there.
    """
    cells = _cells(connection, compute, filters)
    position = {cell.pop("id"): place for place, cell in enumerate(cells)}
    # Of the driver: rows of SQLAlchemy would take as long again, and no column needs its types.
    rows = connection.execute(_numbers(filters, metrics)).cursor.fetchall()
    if not rows and metrics is None:
        explain_nothing(connection, filters)
    names = ("cell", *_OF_MEASUREMENTS)
    found: dict[str, Sequence[Any]] = dict(
        zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True)
    )
    return Columns(cells, {**found, "cell": [position[cell_id] for cell_id in found["cell"]]})


def _cells(connection: Connection, compute: Compute, filters: Filters) -> list[dict[str, Any]]:
    named = {**_OF_STUDIES, **_OF_CELLS}
    query: Any = select(
        CellRow.id,
        *(column.label(name) for name, column in named.items()),
        getattr(TrialRow, f"gflops_per_sample_{compute}").label("gflops_per_sample"),
        TrialRow.params,
    ).join(TrialRow, TrialRow.id == CellRow.trial_id)
    rows = connection.execute(_of_cells(query, filters)).mappings()
    cells = [dict(row) for row in rows]
    try:
        return sorted(cells, key=itemgetter(*named))
    except TypeError:  # SQLite lets anyone write text in a number's place; `check` says where.
        return cells


def _numbers(filters: Filters, metrics: Metrics | None) -> Any:
    query: Any = select(CellRow.id, *_OF_MEASUREMENTS.values()).join(
        MeasurementRow,
        (MeasurementRow.trial_id == CellRow.trial_id)
        & (MeasurementRow.samples_seen == CellRow.samples_seen),
    )
    task, metric = filters.get("task"), filters.get("metric")
    if task is not None:
        query = query.where(MeasurementRow.task.in_([task] if isinstance(task, str) else task))
    if metric is not None:
        query = query.where(MeasurementRow.metric == metric)
    if metrics is not None:
        pair = tuple_(MeasurementRow.task, MeasurementRow.metric)
        query = query.where(
            or_(
                MeasurementRow.metric.in_(sorted(metrics.names)),
                pair.in_(sorted(metrics.pairs)),
                StudyRow.name.in_(sorted(metrics.studies)),
            )
        )
    return _of_cells(query, filters)


def _of_cells(query: Any, filters: Filters) -> Any:
    """Only wanted cells that match the filters."""
    query = query.join(StudyRow, StudyRow.id == CellRow.study_id).where(CellRow.wanted)
    for name, column in {**_OF_STUDIES, **_OF_CELLS}.items():
        if (value := filters.get(name)) is not None:
            query = query.where(column == value)
    return query
