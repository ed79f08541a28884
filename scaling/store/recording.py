"""What attempts add to the store: idempotent, and fenced by the attempt's number.

The same record again is ignored. A measurement never changes: a second value for one is refused.
Checkpoints and curve points of an attempt give way to those of a later one, which only makes them
again where the files of the earlier one are gone.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, insert, select, update

from scaling.errors import StoreError
from scaling.store.lineage import origin_columns
from scaling.store.statements import chunks
from scaling.store.states import Ending, Failure, TrialState, Worker
from scaling.store.tables import (
    AttemptRow,
    CheckpointRow,
    CurveRow,
    MeasurementRow,
    Row,
    TrialRow,
)
from scaling.store.times import now
from scaling.trial import Checkpoint, CurvePoint, Event, Measurement, Note, Throughput

# What each trial needs is made once: to make a statement takes longer than to execute it.
_TRIAL: BindParameter[str] = bindparam("its_trial")
_IS_ATTEMPT = (AttemptRow.trial_id == _TRIAL, AttemptRow.number == bindparam("its_number"))
_LATEST = select(func.max(AttemptRow.number)).where(AttemptRow.trial_id == _TRIAL)
_VERSIONS = select(AttemptRow.versions).where(*_IS_ATTEMPT)
_SET_OF_ATTEMPT = update(AttemptRow).where(*_IS_ATTEMPT)
_SET_OF_TRIALS = update(TrialRow).where(TrialRow.id.in_(bindparam("trial_ids", expanding=True)))
_FROM_ON = {
    table: select(*table.__table__.columns).where(
        table.trial_id == _TRIAL, table.samples_seen >= bindparam("first")
    )
    for table in (CheckpointRow, CurveRow, MeasurementRow)
}


_MAY_BE_UNKNOWN = ("epochs", "evaluation_set", "skipped_images", "forced")
"""Columns that earlier versions did not record: to know nothing contradicts nothing."""


class RefusedError(StoreError):
    """A record from a stale attempt, or one that contradicts what is recorded."""


def start_attempt(
    connection: Connection,
    trial_id: str,
    began: Checkpoint | None = None,
    state: TrialState | None = TrialState.RUNNING,
) -> int:
    """The number of an attempt that begins now; whatever an earlier one still says is stale.

    `began` is the recorded checkpoint that it goes on from, `state` what the trial's becomes.
    """
    number = _latest_attempt(connection, trial_id) + 1
    row = {"trial_id": trial_id, "number": number, "started": now()}
    if began is not None:
        row |= origin_columns(connection, began)
    connection.execute(insert(AttemptRow), row)
    if state is not None:
        set_states(connection, [trial_id], state, None)
    return number


def set_worker(connection: Connection, trial_id: str, attempt: int, worker: Worker) -> None:
    """Say which process makes an attempt."""
    values = {"host": worker.host, "pid": worker.pid, "versions": dict(worker.versions)}
    _set_of_attempt(connection, trial_id, attempt, values)


def record(connection: Connection, trial_id: str, attempt: int, events: Iterable[Event]) -> int:
    """Record what an attempt yielded; the number of measurements that were not there yet.

    Raises `RefusedError` if the attempt is not the trial's latest, or contradicts the store.
    """
    latest = _latest_attempt(connection, trial_id)
    if attempt != latest:
        raise RefusedError(f"{trial_id}: attempt {attempt} is stale, attempt {latest} has begun")
    events = list(events)
    if strangers := {event.trial_id for event in events} - {trial_id}:
        raise RefusedError(f"{trial_id}: an event of another trial, {strangers.pop()}")
    for kind, table in ((Checkpoint, CheckpointRow), (CurvePoint, CurveRow)):
        _merge(connection, table, attempt, [_fields(e) for e in events if isinstance(e, kind)])
    if notes := [event.text for event in events if isinstance(event, Note)]:
        _add_notes(connection, trial_id, attempt, notes)
    if rates := [event for event in events if isinstance(event, Throughput)]:
        _set_throughput(connection, trial_id, attempt, rates[-1])
    measurements = [_fields(event) for event in events if isinstance(event, Measurement)]
    return _merge(connection, MeasurementRow, attempt, measurements)


def finish(
    connection: Connection, trial_id: str, attempt: int, ending: Ending, events: Iterable[Event]
) -> int:
    """`record` the last events of an attempt, close it and set the state of its trial."""
    new = close(connection, trial_id, attempt, ending.outcome, events)
    set_states(connection, [trial_id], ending.state, ending.failure)
    return new


def close(
    connection: Connection, trial_id: str, attempt: int, outcome: str, events: Iterable[Event]
) -> int:
    """The same but for the state of the trial."""
    new = record(connection, trial_id, attempt, events)
    _set_of_attempt(connection, trial_id, attempt, {"ended": now(), "outcome": outcome})
    return new


def set_states(
    connection: Connection, trial_ids: Sequence[str], state: TrialState, failure: Failure | None
) -> None:
    """Set the state of trials, and the reason for it."""
    values = {
        "state": state,
        "failure_kind": failure.kind if failure else None,
        "failure": failure.text if failure else None,
    }
    for chunk in chunks(trial_ids):
        connection.execute(_SET_OF_TRIALS, {"trial_ids": chunk, **values})


def _add_notes(connection: Connection, trial_id: str, attempt: int, notes: Sequence[str]) -> None:
    """Keep with an attempt what it did otherwise than asked."""
    row = {"its_trial": trial_id, "its_number": attempt}
    versions = connection.scalar(_VERSIONS, row) or {}
    together = list(dict.fromkeys([*versions.get("notes", ()), *notes]))
    values = {"versions": {**versions, "notes": together}}
    _set_of_attempt(connection, trial_id, attempt, values)


def _set_throughput(
    connection: Connection, trial_id: str, attempt: int, so_far: Throughput
) -> None:
    values = {"trained_samples": so_far.samples, "trained_seconds": so_far.seconds}
    _set_of_attempt(connection, trial_id, attempt, values)


def _set_of_attempt(
    connection: Connection, trial_id: str, attempt: int, values: Mapping[str, Any]
) -> None:
    row = {"its_trial": trial_id, "its_number": attempt}
    connection.execute(_SET_OF_ATTEMPT, {**row, **values})


def _latest_attempt(connection: Connection, trial_id: str) -> int:
    return int(connection.scalar(_LATEST, {"its_trial": trial_id}) or 0)


def _fields(event: Checkpoint | CurvePoint | Measurement) -> dict[str, Any]:
    """The columns of an event's row; the names are the same."""
    fields = {spec.name: getattr(event, spec.name) for spec in dataclasses.fields(event)}
    if isinstance(event, Checkpoint):
        fields["path"] = event.path.as_posix()
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise RefusedError(f"{event}: {name} is {value}, not a number that means anything")
    return fields


def _merge(
    connection: Connection,
    table: type[CheckpointRow | CurveRow | MeasurementRow],
    attempt: int,
    rows: Sequence[Mapping[str, Any]],
) -> int:
    """Insert the rows that are not there yet, and say how many; see the module for conflicts."""
    if not rows:
        return 0
    known = _known(connection, table, rows)
    new: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    outdated = []
    for row in rows:
        key = tuple(row[name] for name in table.natural_key)
        there = new.get(key) or known.get(key)
        if there is not None:
            if all(_agree(name, there[name], value) for name, value in row.items()):
                continue
            if table is MeasurementRow or there.get("attempt", attempt) == attempt:
                raise RefusedError(_conflict(table, key, there, row))
            outdated.append(there["id"])
        new[key] = row
    if outdated:
        connection.execute(delete(table).where(table.id.in_(outdated)))
    if new:
        connection.execute(insert(table), [{**row, "attempt": attempt} for row in new.values()])
    return len(new)


def _agree(name: str, there: object, value: object) -> bool:
    """Whether a recorded field says the same, or one that older stores lack says nothing."""
    return there == value or (name in _MAY_BE_UNKNOWN and None in (there, value))


def _known(
    connection: Connection,
    table: type[CheckpointRow | CurveRow | MeasurementRow],
    rows: Sequence[Mapping[str, Any]],
) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """What the table says about the trial of `rows`, from the first of their samples seen on."""
    first = min(row["samples_seen"] for row in rows)
    place = {"its_trial": rows[0]["trial_id"], "first": first}
    there = connection.execute(_FROM_ON[table], place)
    return {tuple(row[name] for name in table.natural_key): dict(row) for row in there.mappings()}


def _conflict(
    table: type[Row], key: tuple[Any, ...], there: Mapping[str, Any], row: Mapping[str, Any]
) -> str:
    differing = "; ".join(
        f"{name} is {there[name]!r} and cannot become {value!r}"
        for name, value in row.items()
        if not _agree(name, there[name], value)
    )
    return f"{table.__tablename__} {' '.join(map(str, key))} is recorded: {differing}"
