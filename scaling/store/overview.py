"""What the store says about how far studies are: for people who look on from outside."""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, or_, select

from scaling.errors import StoreError, unknown
from scaling.store.states import Failure, TrialState
from scaling.store.tables import AttemptRow, CellRow, MeasurementRow, StudyRow, TrialRow
from scaling.trial import Measurement

_FAILED = (TrialState.FAILED, TrialState.DIVERGED, TrialState.BLOCKED)


@dataclass(frozen=True, kw_only=True)
class FailedTrial:
    """A trial that failed, diverged or is blocked, and why."""

    trial_id: str
    state: TrialState
    failure: Failure | None
    attempt: int | None
    """The number of its latest; None if there was none."""


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A trial whose latest attempt has not ended, as far as the store knows."""

    trial_id: str
    attempt: int
    started: str
    host: str | None
    pid: int | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The trials that serve a study, or all studies that are grids of our own."""

    states: Mapping[str, Mapping[TrialState, int]]
    """Trials by family and state."""
    running: tuple[RunningTrial, ...]
    failed: tuple[FailedTrial, ...]
    measurements: tuple[Measurement, ...]
    """The last ones that were recorded, the latest at the end; all metrics of each task."""


@dataclass(frozen=True, kw_only=True)
class KnownTrial:
    """One trial by its id: where it stands."""

    trial_id: str
    state: TrialState
    failure: Failure | None
    attempts: int


def overview(connection: Connection, study: str | None, latest: int) -> Overview:
    """How far `study` is, or all grids; the `latest` tasks that were measured.

    Raises `StoreError` if there is no such study.
    """
    if study is not None:
        known = list(connection.scalars(select(StudyRow.name)))
        if study not in known:
            raise StoreError(unknown("study", study, known))
    ours = _trials_of(study)
    return Overview(
        states=_states(connection, ours),
        running=_running(connection, ours),
        failed=_failed(connection, ours),
        measurements=_latest(connection, ours, latest),
    )


def known_trial(connection: Connection, prefix: str) -> KnownTrial:
    """The trial whose id is `prefix`, or the only one whose id begins so.

    Raises `StoreError` if there is none, with the nearest ids, or if there are several.
    """
    # Of imported ones nothing is known but numbers, unless their checkpoints were measured here.
    measured_here = select(AttemptRow.trial_id)
    ours = or_(TrialRow.source == "own", TrialRow.id.in_(measured_here))
    trial_id = the_only(prefix, connection.scalars(select(TrialRow.id).where(ours)))
    row = connection.execute(
        select(
            TrialRow.state, TrialRow.failure_kind, TrialRow.failure, func.count(AttemptRow.number)
        )
        .outerjoin(AttemptRow, AttemptRow.trial_id == TrialRow.id)
        .where(TrialRow.id == trial_id)
        .group_by(TrialRow.id)
    ).one()
    state, kind, text, attempts = row
    failure = Failure(kind, text or "") if kind else None
    return KnownTrial(trial_id=trial_id, state=state, failure=failure, attempts=attempts)


def the_only(prefix: str, trial_ids: Iterable[str]) -> str:
    """The id that is `prefix`, or the only one that begins so; raises as `known_trial`."""
    ids = sorted(trial_ids)
    found = [trial_id for trial_id in ids if trial_id.startswith(prefix)]
    if prefix in found:
        return prefix
    if len(found) != 1:
        raise StoreError(_several(prefix, found) if found else _none(prefix, ids))
    return found[0]


def _several(prefix: str, found: list[str]) -> str:
    shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    return f"{len(found)} trials begin with {prefix!r}; write more of one: {shown}"


def _none(prefix: str, ids: list[str]) -> str:
    beginnings = {trial_id[: len(prefix)]: trial_id for trial_id in reversed(ids)}
    nearest = difflib.get_close_matches(prefix, beginnings, n=3)
    hint = ", ".join(beginnings[beginning] for beginning in nearest)
    return f"no trial's id begins with {prefix!r}; " + (
        f"nearest: {hint}" if hint else "`scaling plan GRID --trials` lists a grid's"
    )


def _trials_of(study: str | None) -> Select[str]:
    """The ids of the trials that serve wanted cells, and of the trunks that those branch off."""
    serving = select(CellRow.trial_id).where(CellRow.wanted)
    if study is not None:
        serving = serving.join(StudyRow, StudyRow.id == CellRow.study_id).where(
            StudyRow.name == study
        )
    trunks = select(TrialRow.trunk_id).where(TrialRow.id.in_(serving))
    ours = select(TrialRow.id).where(or_(TrialRow.id.in_(serving), TrialRow.id.in_(trunks)))
    return ours if study is not None else ours.where(TrialRow.source == "own")


def _states(connection: Connection, ours: Select[str]) -> dict[str, dict[TrialState, int]]:
    states: defaultdict[str, dict[TrialState, int]] = defaultdict(dict)
    for family, state, count in connection.execute(
        select(TrialRow.family, TrialRow.state, func.count())
        .where(TrialRow.id.in_(ours))
        .group_by(TrialRow.family, TrialRow.state)
        .order_by(TrialRow.family)
    ):
        states[family][state] = count
    return dict(states)


def _running(connection: Connection, ours: Select[str]) -> tuple[RunningTrial, ...]:
    found = connection.execute(
        select(*AttemptRow.__table__.columns)
        .where(AttemptRow.ended.is_(None), AttemptRow.trial_id.in_(ours))
        .order_by(AttemptRow.started)
    )
    return tuple(
        RunningTrial(
            trial_id=row.trial_id,
            attempt=row.number,
            started=row.started,
            host=row.host,
            pid=row.pid,
        )
        for row in found
    )


def _failed(connection: Connection, ours: Select[str]) -> tuple[FailedTrial, ...]:
    """In the order in which their latest attempts began; those that had none come last."""
    found = connection.execute(
        select(
            TrialRow.id,
            TrialRow.state,
            TrialRow.failure_kind,
            TrialRow.failure,
            func.max(AttemptRow.number).label("attempt"),
        )
        .outerjoin(AttemptRow, AttemptRow.trial_id == TrialRow.id)
        .where(TrialRow.id.in_(ours), TrialRow.state.in_(_FAILED))
        .group_by(TrialRow.id)
        .order_by(func.max(AttemptRow.started).is_(None), func.max(AttemptRow.started))
    )
    return tuple(
        FailedTrial(
            trial_id=row.id,
            state=row.state,
            failure=Failure(row.failure_kind, row.failure or "") if row.failure_kind else None,
            attempt=row.attempt,
        )
        for row in found
    )


def _latest(connection: Connection, ours: Select[str], tasks: int) -> tuple[Measurement, ...]:
    place = (MeasurementRow.trial_id, MeasurementRow.samples_seen, MeasurementRow.task)
    last = (
        select(*place, func.max(MeasurementRow.id).label("last"))
        .where(MeasurementRow.trial_id.in_(ours))
        .group_by(*place)
        .order_by(func.max(MeasurementRow.id).desc())
        .limit(tasks)
        .subquery()
    )
    found = connection.execute(
        select(*place, MeasurementRow.metric, MeasurementRow.value)
        .join(
            last,
            (last.c.trial_id == MeasurementRow.trial_id)
            & (last.c.samples_seen == MeasurementRow.samples_seen)
            & (last.c.task == MeasurementRow.task),
        )
        .order_by(MeasurementRow.id)
    )
    return tuple(
        Measurement(trial_id=trial_id, samples_seen=seen, task=task, metric=metric, value=value)
        for trial_id, seen, task, metric, value in found
    )
