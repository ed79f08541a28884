"""Which checkpoint came from which, and what a trial's checkpoints are needed for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from scaling.store.tables import AttemptRow, CellRow, CheckpointRow, TrialRow
from scaling.trial import Checkpoint


@dataclass(frozen=True)
class Origin:
    """A checkpoint that an attempt went on from."""

    samples_seen: int
    sha256: str
    attempt: int | None
    """Of the trial that saved it; None if its row was gone."""


def origin_columns(connection: Connection, began: Checkpoint) -> dict[str, Any]:
    """What an attempt records about the checkpoint that it goes on from."""
    attempt = connection.scalar(
        select(CheckpointRow.attempt).where(
            CheckpointRow.trial_id == began.trial_id,
            CheckpointRow.samples_seen == began.samples_seen,
        )
    )
    return {
        "began_trial": began.trial_id,
        "began_samples_seen": began.samples_seen,
        "began_attempt": attempt,
        "began_sha256": began.sha256,
    }


def origin(connection: Connection, trial_id: str, trunk_id: str) -> Origin | None:
    """The checkpoint of its trunk that a cooldown branched off, the last time that it did.

    None if it never did, or before this was recorded.
    """
    row = connection.execute(
        select(AttemptRow.began_samples_seen, AttemptRow.began_sha256, AttemptRow.began_attempt)
        .where(AttemptRow.trial_id == trial_id, AttemptRow.began_trial == trunk_id)
        .order_by(AttemptRow.number.desc())
        .limit(1)
    ).first()
    if row is None or row.began_samples_seen is None or row.began_sha256 is None:
        return None
    return Origin(row.began_samples_seen, row.began_sha256, row.began_attempt)


def with_forced(connection: Connection) -> set[str]:
    """The trials with checkpoints that were saved between two stops (`Checkpoint.forced`)."""
    return set(
        connection.scalars(select(CheckpointRow.trial_id).where(CheckpointRow.forced.is_(True)))
    )


def asked_at(connection: Connection, trial_id: str) -> set[int]:
    """The samples seen at which anybody needs a trial: cells, wanted or not, and its branches.

    Of every study; a study may come back to what it no longer asks for.
    """
    cells = connection.scalars(select(CellRow.samples_seen).where(CellRow.trial_id == trial_id))
    branches = connection.scalars(
        select(TrialRow.identity["branch_point"].as_integer()).where(TrialRow.trunk_id == trial_id)
    )
    return {*cells, *branches}


def forget(connection: Connection, checkpoints: Sequence[Checkpoint]) -> None:
    """Delete the rows of these checkpoints, as long as they say the same."""
    for checkpoint in checkpoints:
        connection.execute(
            delete(CheckpointRow).where(
                CheckpointRow.trial_id == checkpoint.trial_id,
                CheckpointRow.samples_seen == checkpoint.samples_seen,
                CheckpointRow.sha256 == checkpoint.sha256,
            )
        )
