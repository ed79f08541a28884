"""Trials in lines, and everything about one of them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from scaling.errors import StoreError, unknown
from scaling.store.overview import the_only
from scaling.store.queries import checkpoints
from scaling.store.tables import (
    AttemptRow,
    CellRow,
    CurveRow,
    MeasurementRow,
    StudyRow,
    TrialRow,
)
from scaling.store.tidy import Chosen
from scaling.trial import Checkpoint

TRIAL_FILTERS = {
    "study": StudyRow.name,
    "family": TrialRow.family,
    "model": TrialRow.model,
    "dataset": CellRow.dataset,
    "schedule": CellRow.schedule,
    "source": TrialRow.source,
    "state": TrialRow.state,
}


@dataclass(frozen=True, kw_only=True)
class Dossier:
    """Everything that the store has about one trial, as plain data but for the checkpoints."""

    trial: dict[str, Any]
    """The columns of its row."""
    cells: list[dict[str, Any]]
    """What studies ask of it: study, dataset, schedule, samples_seen, wanted."""
    attempts: list[dict[str, Any]]
    checkpoints: list[Checkpoint]
    measurements: list[dict[str, Any]]
    curve: list[tuple[int, float]]
    """Samples seen and training loss."""
    children: list[str]
    """The cooldowns that branch off it."""


def trials(connection: Connection, chosen: Chosen) -> list[dict[str, Any]]:
    """The trials that are chosen, by id, with how often each was tried and measured.

    Those that serve no cell (trunks) are there unless a filter is about cells.
    Raises `StoreError` if a filter names what no trial has.
    """
    by_cell = any(chosen.get(name) for name in ("study", "dataset", "schedule"))
    query = select(TrialRow.id, TrialRow.family, TrialRow.model, TrialRow.kind, TrialRow.seed)
    query = query.add_columns(TrialRow.state, TrialRow.source, TrialRow.failure_kind)
    query = query.add_columns(
        select(func.count())
        .where(AttemptRow.trial_id == TrialRow.id)
        .correlate(TrialRow)
        .scalar_subquery()
        .label("attempts"),
        select(func.count(MeasurementRow.id))
        .where(MeasurementRow.trial_id == TrialRow.id)
        .correlate(TrialRow)
        .scalar_subquery()
        .label("measurements"),
    )
    joined = select(TrialRow.id).outerjoin(CellRow, CellRow.trial_id == TrialRow.id)
    joined = joined.outerjoin(StudyRow, StudyRow.id == CellRow.study_id)
    for name, values in chosen.items():
        if values:
            joined = joined.where(TRIAL_FILTERS[name].in_(_known(connection, name, values)))
    if by_cell:
        joined = joined.where(CellRow.wanted)
    query = query.where(TrialRow.id.in_(joined)).order_by(TrialRow.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def dossier(connection: Connection, prefix: str) -> Dossier:
    """All about the trial whose id is `prefix`, or the only one whose id begins so.

    Raises `StoreError` if there is none, with the nearest ids, or if there are several.
    """
    trial_id = the_only(prefix, connection.scalars(select(TrialRow.id)))
    attempts = select(*AttemptRow.__table__.columns).where(AttemptRow.trial_id == trial_id)
    measured = select(*MeasurementRow.__table__.columns).where(MeasurementRow.trial_id == trial_id)
    cells = (
        select(
            StudyRow.name.label("study"),
            CellRow.dataset,
            CellRow.schedule,
            CellRow.samples_seen,
            CellRow.wanted,
        )
        .join(StudyRow, StudyRow.id == CellRow.study_id)
        .where(CellRow.trial_id == trial_id)
        .order_by(StudyRow.id, CellRow.samples_seen)
    )
    curve = (
        select(CurveRow.samples_seen, CurveRow.loss)
        .where(CurveRow.trial_id == trial_id)
        .order_by(CurveRow.samples_seen)
    )
    order = (MeasurementRow.samples_seen, MeasurementRow.task, MeasurementRow.metric)
    row = select(*TrialRow.__table__.columns).where(TrialRow.id == trial_id)
    children = select(TrialRow.id).where(TrialRow.trunk_id == trial_id).order_by(TrialRow.id)
    return Dossier(
        trial=dict(connection.execute(row).mappings().one()),
        cells=[dict(each) for each in connection.execute(cells).mappings()],
        attempts=[
            dict(each)
            for each in connection.execute(attempts.order_by(AttemptRow.number)).mappings()
        ],
        checkpoints=checkpoints(connection, [trial_id])[trial_id],
        measurements=[
            dict(each) for each in connection.execute(measured.order_by(*order)).mappings()
        ],
        curve=[(seen, loss) for seen, loss in connection.execute(curve)],
        children=list(connection.scalars(children)),
    )


def _known(connection: Connection, name: str, values: Any) -> list[Any]:
    """`values`; raises `StoreError` with the nearest name for one that no trial has."""
    there = {str(value) for value in connection.scalars(select(TRIAL_FILTERS[name]).distinct())}
    for value in values:
        if value not in there:
            raise StoreError(unknown(name, value, there))
    return list(values)
