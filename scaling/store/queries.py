"""What the store is asked: how far trials are, and the points that fits are made of."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVarTuple

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, or_, select

from scaling.errors import StoreError, unknown
from scaling.store.statements import chunks
from scaling.store.states import Failure, OpenAttempt, TrialState
from scaling.store.tables import (
    AttemptRow,
    CellRow,
    CheckpointRow,
    MeasurementRow,
    StudyRow,
    TrialRow,
)
from scaling.trial import Checkpoint

Columns = TypeVarTuple("Columns")
Compute = Literal["published", "lean", "full"]
"""The conventions of counting GFLOPs per sample; see `scaling.families.Profile`."""


class Filters(TypedDict, total=False):
    """Which points; None and absence mean all."""

    study: str | None
    dataset: str | None
    schedule: str | None
    family: str | None
    task: str | tuple[str, ...] | None
    """Several mean any of them."""
    metric: str | None


_COLUMNS = {
    "study": StudyRow.name,
    "dataset": CellRow.dataset,
    "schedule": CellRow.schedule,
    "task": MeasurementRow.task,
    "metric": MeasurementRow.metric,
    "family": CellRow.family,
    "model": CellRow.model,
    "samples_seen": CellRow.samples_seen,
    "seed": CellRow.seed,
    "trial": CellRow.trial_id,
    "value": MeasurementRow.value,
    "epochs": MeasurementRow.epochs,
    "evaluation_set": MeasurementRow.evaluation_set,
    "skipped_images": MeasurementRow.skipped_images,
}
_FOUND = ("value", "epochs", "evaluation_set", "skipped_images")
_KEYS = tuple(name for name in _COLUMNS if name not in _FOUND)
"""What tells points apart, and orders them."""


# Each trial is looked up when it starts and when it ends: to make a statement takes longer than to
# execute it, so these are made once.
_IDS: BindParameter[Sequence[str]] = bindparam("trial_ids", expanding=True)
_STATES = select(TrialRow.id, TrialRow.state, TrialRow.failure_kind, TrialRow.failure).where(
    TrialRow.id.in_(_IDS)
)
_OPEN_ATTEMPTS = (
    select(*AttemptRow.__table__.columns)
    .where(AttemptRow.trial_id.in_(_IDS), AttemptRow.ended.is_(None))
    .order_by(AttemptRow.number)
)
_MEASURED = (
    select(MeasurementRow.trial_id, MeasurementRow.samples_seen, MeasurementRow.task)
    .where(MeasurementRow.trial_id.in_(_IDS))
    .distinct()
)
_CHECKPOINTS = (
    select(*CheckpointRow.__table__.columns)
    .where(CheckpointRow.trial_id.in_(_IDS))
    .order_by(CheckpointRow.samples_seen)
)


@dataclass
class Recorded:
    """What the store has of one trial."""

    state: TrialState
    failure: Failure | None = None
    open_attempt: OpenAttempt | None = None
    """The latest attempt, if it never ended: it is being made, or its driver died."""
    checkpoints: list[Checkpoint] = field(default_factory=list)
    """Ascending; paths relative to the folder of all checkpoints."""
    measured: set[tuple[int, str]] = field(default_factory=set)
    """Samples seen and task."""


@dataclass(frozen=True)
class Study:
    """A study and how much of it there is."""

    name: str
    source: str
    created: str
    held_out_above_gflops: float | None
    cells: int
    """Those that it still wants."""
    measurements: int
    """Of those cells."""


def points(connection: Connection, compute: Compute, filters: Filters) -> list[dict[str, Any]]:
    """One row a metric of a wanted cell, in a fixed order.

    `epochs`, `evaluation_set`, `skipped_images`, `gflops_per_sample` and `params` are None where
    they are not known.
    Raises `StoreError` if nothing matches because a filter names what is not there.
    """
    gflops = getattr(TrialRow, f"gflops_per_sample_{compute}")
    columns = [column.label(name) for name, column in _COLUMNS.items()]
    query = joined(select(*columns, gflops.label("gflops_per_sample"), TrialRow.params))
    for name, value in filters.items():
        if isinstance(value, tuple):
            query = query.where(_COLUMNS[name].in_(value))
        elif value is not None:
            query = query.where(_COLUMNS[name] == value)
    query = query.order_by(*(_COLUMNS[name] for name in _KEYS))
    rows = [dict(row) for row in connection.execute(query).mappings()]
    if not rows:
        explain_nothing(connection, filters)
    return rows


def studies(connection: Connection) -> list[Study]:
    """All studies, in the order in which they were first recorded."""
    found = connection.execute(
        joined(select(StudyRow.id, func.count(MeasurementRow.id))).group_by(StudyRow.id)
    )
    measured = {study_id: count for study_id, count in found}
    cells = (
        select(func.count(CellRow.id))
        .where(CellRow.study_id == StudyRow.id, CellRow.wanted)
        .scalar_subquery()
    )
    return [
        Study(
            name=row.name,
            source=row.source,
            created=row.created,
            held_out_above_gflops=row.held_out_above_gflops,
            cells=row.cells,
            measurements=measured.get(row.id, 0),
        )
        for row in connection.execute(
            select(*StudyRow.__table__.columns, cells.label("cells")).order_by(StudyRow.id)
        )
    ]


def counts(connection: Connection, study: str) -> dict[TrialState, int]:
    """How many trials of a study, the trunks of its cooldowns included, are in each state."""
    serving = (
        select(CellRow.trial_id)
        .join(StudyRow, StudyRow.id == CellRow.study_id)
        .where(StudyRow.name == study, CellRow.wanted)
    )
    trunks = select(TrialRow.trunk_id).where(TrialRow.id.in_(serving))
    found = connection.execute(
        select(TrialRow.state, func.count())
        .where(or_(TrialRow.id.in_(serving), TrialRow.id.in_(trunks)))
        .group_by(TrialRow.state)
    )
    return {state: count for state, count in found}


def recorded(connection: Connection, trial_ids: Sequence[str]) -> dict[str, Recorded]:
    """What the store has of each of these trials, by id; unknown ones are absent."""
    found: dict[str, Recorded] = {}
    for chunk in chunks(trial_ids):
        ids = {"trial_ids": chunk}
        for trial in connection.execute(_STATES, ids):
            kind, text = trial.failure_kind, trial.failure
            found[trial.id] = Recorded(trial.state, Failure(kind, text or "") if kind else None)
        for attempt in connection.execute(_OPEN_ATTEMPTS, ids):
            found[attempt.trial_id].open_attempt = OpenAttempt(
                number=attempt.number,
                started=attempt.started,
                host=attempt.host,
                pid=attempt.pid,
            )
        for row in connection.execute(_MEASURED, ids):
            found[row.trial_id].measured.add((row.samples_seen, row.task))
    for trial_id, saved in checkpoints(connection, trial_ids).items():
        found[trial_id].checkpoints = saved
    return found


def values(
    connection: Connection, trial_ids: Sequence[str]
) -> dict[tuple[str, int, str, str], float]:
    """Every measurement of these trials, by trial, samples seen, task and metric."""
    found: dict[tuple[str, int, str, str], float] = {}
    for chunk in chunks(trial_ids):
        for row in connection.execute(
            select(
                MeasurementRow.trial_id,
                MeasurementRow.samples_seen,
                MeasurementRow.task,
                MeasurementRow.metric,
                MeasurementRow.value,
            ).where(MeasurementRow.trial_id.in_(chunk))
        ):
            found[row.trial_id, row.samples_seen, row.task, row.metric] = row.value
    return found


def checkpoints(
    connection: Connection, trial_ids: Sequence[str]
) -> defaultdict[str, list[Checkpoint]]:
    """The checkpoints of each of these trials, ascending; paths as recorded, relative."""
    found: defaultdict[str, list[Checkpoint]] = defaultdict(list)
    for chunk in chunks(trial_ids):
        for row in connection.execute(_CHECKPOINTS, {"trial_ids": chunk}):
            found[row.trial_id].append(
                Checkpoint(
                    trial_id=row.trial_id,
                    samples_seen=row.samples_seen,
                    path=Path(row.path),
                    sha256=row.sha256,
                    bytes=row.bytes,
                    forced=bool(row.forced),
                )
            )
    return found


def joined(query: "Select[*Columns]") -> "Select[*Columns]":
    """Studies, the cells that they want, their trials, and what those measured there."""
    return (
        query.select_from(StudyRow)
        .join(CellRow, CellRow.study_id == StudyRow.id)
        .join(TrialRow, TrialRow.id == CellRow.trial_id)
        .join(
            MeasurementRow,
            (MeasurementRow.trial_id == CellRow.trial_id)
            & (MeasurementRow.samples_seen == CellRow.samples_seen),
        )
        .where(CellRow.wanted)
    )


def explain_nothing(connection: Connection, filters: Filters) -> None:
    """Raise `StoreError` if a filter names what no point has, or if there is no point at all."""
    if not connection.scalar(select(func.count(MeasurementRow.id))):
        raise StoreError(
            "the store holds no measurements yet; `scaling run GRID` and `scaling import PATH` "
            "record some"
        )
    for name, value in filters.items():
        everything = select(StudyRow.name) if name == "study" else joined(select(_COLUMNS[name]))
        known = [str(name) for name in connection.scalars(everything.distinct())]
        if isinstance(value, str) and value not in known:
            raise StoreError(unknown(name, str(value), known))
