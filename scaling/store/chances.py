"""Trials that get another chance, and how many chances came to nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, or_, select, update

from scaling.errors import StoreError, unknown
from scaling.store.memory import OUTCOME
from scaling.store.recording import set_states
from scaling.store.statements import chunks
from scaling.store.states import FailureKind, TrialState
from scaling.store.tables import (
    AttemptRow,
    CellRow,
    CheckpointRow,
    MeasurementRow,
    StudyRow,
    TrialRow,
)

_ENDED_BADLY = (TrialState.FAILED, TrialState.DIVERGED)


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Which trials get another chance; None is all."""

    study: str | None = None
    state: TrialState = TrialState.FAILED
    kinds: tuple[FailureKind, ...] = ()
    """Failed for one of these reasons, whatever the state; empty is whatever is in the state."""
    trials: tuple[str, ...] = ()
    """Beginnings of their ids; empty is all."""


def retry(connection: Connection, which: Retry) -> list[str]:
    """Make trials pending again, and what their failure blocked; the ids of the former, sorted.

    What was learned about memory from those that exceeded it is forgotten.
    Raises `StoreError` if a study or trial is not there.
    """
    query = select(TrialRow.id).order_by(TrialRow.id)
    if which.kinds:
        query = query.where(
            TrialRow.state.in_(_ENDED_BADLY), TrialRow.failure_kind.in_(which.kinds)
        )
    else:
        query = query.where(TrialRow.state == which.state)
    if which.study is not None:
        query = query.where(TrialRow.id.in_(_trials_of(connection, which.study)))
    for beginning in which.trials:
        _check_known(connection, beginning)
    if which.trials:
        query = query.where(
            or_(*(TrialRow.id.startswith(part, autoescape=True) for part in which.trials))
        )
    found = list(connection.scalars(query))
    set_states(connection, found, TrialState.PENDING, None)
    for chunk in chunks(found):
        blocked = select(TrialRow.id).where(
            TrialRow.trunk_id.in_(chunk), TrialRow.state == TrialState.BLOCKED
        )
        set_states(connection, list(connection.scalars(blocked)), TrialState.PENDING, None)
        connection.execute(
            update(AttemptRow)
            .where(AttemptRow.trial_id.in_(chunk), AttemptRow.outcome == OUTCOME)
            .values(outcome="failed")
        )
    return found


def slices_without_progress(connection: Connection, trial_id: str) -> int:
    """How many of a trial's latest attempts, the last one included, recorded no checkpoint and no
    measurement, as far back as each but the last one was preempted."""
    mine = (AttemptRow.trial_id == trial_id,)
    recorded = [
        exists().where(table.trial_id == AttemptRow.trial_id, table.attempt == AttemptRow.number)
        for table in (CheckpointRow, MeasurementRow)
    ]
    attempts = connection.execute(
        select(AttemptRow.outcome, or_(*recorded)).where(*mine).order_by(AttemptRow.number.desc())
    )
    count = 0
    for outcome, has_progress in attempts:
        if has_progress or (count and outcome != "preempted"):
            break
        count += 1
    return count


def _trials_of(connection: Connection, study: str) -> Sequence[str]:
    """Those that give the study its numbers, and the trunks that they branch off."""
    names = list(connection.scalars(select(StudyRow.name)))
    if study not in names:
        raise StoreError(unknown("study", study, names))
    asked = (
        select(CellRow.trial_id, TrialRow.trunk_id)
        .join(StudyRow, StudyRow.id == CellRow.study_id)
        .join(TrialRow, TrialRow.id == CellRow.trial_id)
        .where(StudyRow.name == study, CellRow.wanted)
    )
    return sorted({trial_id for row in connection.execute(asked) for trial_id in row if trial_id})


def _check_known(connection: Connection, beginning: str) -> None:
    ids = list(connection.scalars(select(TrialRow.id)))
    if not any(trial_id.startswith(beginning) for trial_id in ids):
        raise StoreError(unknown("trial", beginning, ids))
