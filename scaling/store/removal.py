"""What goes with a study: its cells, and the trials that no other study needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from scaling.errors import StoreError, unknown
from scaling.store.queries import checkpoints
from scaling.store.statements import chunks
from scaling.store.tables import (
    AttemptRow,
    CellRow,
    CheckpointRow,
    CurveRow,
    MeasurementRow,
    StudyRow,
    TrialRow,
)
from scaling.trial import Checkpoint

_OF_TRIALS = (MeasurementRow, CurveRow, CheckpointRow, AttemptRow)
"""What belongs to a trial, those that refer to others first."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What is deleted with a study."""

    study: str
    cells: int
    trials: tuple[str, ...]
    """Those that serve no other study, nor a trial of one as its trunk; by id."""
    shared: tuple[str, ...]
    """Trials of the study that stay, because another study needs them."""
    attempts: int
    measurements: int
    checkpoints: tuple[Checkpoint, ...]
    """Of the trials that go; paths relative to the folder of all checkpoints."""


def removal(connection: Connection, study: str) -> Removal:
    """What would go with `study`; raises `StoreError` with the nearest name if there is none."""
    study_id = _study_id(connection, study)
    cells = connection.execute(select(CellRow.study_id, CellRow.trial_id)).all()
    mine = {trial for owner, trial in cells if owner == study_id}
    trunk_of = {
        trial: trunk
        for trial, trunk in connection.execute(select(TrialRow.id, TrialRow.trunk_id))
        if trunk is not None
    }
    mine |= {trunk_of[trial] for trial in mine if trial in trunk_of}
    kept = {trial for owner, trial in cells if owner != study_id}
    # A trial that serves no cell is somebody's trunk, or was one: it is not for us to say whose.
    kept |= {trial for trial in trunk_of if trial not in mine}
    kept |= {trunk_of[trial] for trial in kept if trial in trunk_of}
    going = tuple(sorted(mine - kept))
    saved = checkpoints(connection, going)
    return Removal(
        study=study,
        cells=sum(owner == study_id for owner, _ in cells),
        trials=going,
        shared=tuple(sorted(mine & kept)),
        attempts=_count(connection, AttemptRow, going),
        measurements=_count(connection, MeasurementRow, going),
        checkpoints=tuple(each for trial in going for each in saved[trial]),
    )


def remove(connection: Connection, expected: Removal) -> None:
    """Delete what `expected` says, in the transaction at hand.

    Raises `StoreError` if it is no longer what would go.
    """
    if removal(connection, expected.study) != expected:
        raise StoreError(
            f"the study {expected.study!r} has changed since it was looked at; nothing was removed"
        )
    study_id = _study_id(connection, expected.study)
    connection.execute(delete(CellRow).where(CellRow.study_id == study_id))
    for table in _OF_TRIALS:
        for chunk in chunks(expected.trials):
            connection.execute(delete(table).where(table.trial_id.in_(chunk)))
    # Cooldowns refer to their trunks, so they go before them.
    for is_trunk in (False, True):
        for chunk in chunks(expected.trials):
            rows = TrialRow.trunk_id.is_(None) if is_trunk else TrialRow.trunk_id.is_not(None)
            connection.execute(delete(TrialRow).where(TrialRow.id.in_(chunk), rows))
    connection.execute(delete(StudyRow).where(StudyRow.id == study_id))


def _study_id(connection: Connection, study: str) -> int:
    ids = {name: key for key, name in connection.execute(select(StudyRow.id, StudyRow.name))}
    if study not in ids:
        raise StoreError(unknown("study", study, ids))
    return ids[study]


def _count(
    connection: Connection,
    table: type[AttemptRow] | type[MeasurementRow],
    trial_ids: Sequence[str],
) -> int:
    return sum(
        connection.scalar(select(func.count()).select_from(table).where(table.trial_id.in_(chunk)))
        or 0
        for chunk in chunks(trial_ids)
    )
