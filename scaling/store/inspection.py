"""A store as it is, damaged or not, read without leaving a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, String, select, type_coerce

from scaling.database import Database
from scaling.errors import StoreError
from scaling.findings import Finding, fine, problem
from scaling.store import integrity
from scaling.store.engine import backend_of
from scaling.store.sqlite import SQLite
from scaling.store.tables import SCHEMA_VERSION, AttemptRow, CheckpointRow


@dataclass(frozen=True)
class SavedFile:
    """A row about a file of weights, as it is stored; nothing in it needs to be true."""

    trial_id: str
    samples_seen: object
    path: str
    sha256: str
    bytes: object


@dataclass
class Inspection:
    """What was found, and what other checks need to know of the store."""

    findings: list[Finding] = field(default_factory=list)
    saved: tuple[SavedFile, ...] = ()
    open_attempts: tuple[str, ...] = ()
    """Those that have not ended, as `TRIAL attempt N`."""
    is_read: bool = False
    """Whether both could be read."""


def inspect(db: Database) -> Inspection:
    """Check the rows of the store at `db`; whatever is wrong with it is a finding.

    Nothing is written: an earlier schema is left as it is, and a file that nobody writes gets no
    `-wal` or `-shm` beside it.
    """
    before = _writing(db)
    found = _inspected(db)
    # Where somebody began to write meanwhile, what was promised to stay as it is did not.
    return found if _writing(db) == before else _inspected(db)


def _inspected(db: Database) -> Inspection:
    found = Inspection()
    try:
        with _connection(db) as connection:
            found.findings.append(fine(f"it can be read as schema {SCHEMA_VERSION}", str(db)))
            for check in integrity.CHECKS:
                found.findings += check(connection)
            _read(connection, found)
    except StoreError as error:
        found.findings.append(
            problem(f"not all of it can be read: {error}", str(db), "see the message")
        )
    return found


@contextmanager
def _connection(db: Database) -> Iterator[Connection]:
    backend = SQLite(db, leaves_no_trace=True) if isinstance(db, Path) else backend_of(db)
    engine = backend.open_for_reading()
    try:
        with backend.transaction(engine) as connection:
            yield connection
    finally:
        backend.close(engine)


def _read(connection: Connection, found: Inspection) -> None:
    saved = connection.execute(
        select(
            CheckpointRow.trial_id,
            CheckpointRow.samples_seen,
            CheckpointRow.path,
            CheckpointRow.sha256,
            CheckpointRow.bytes,
        ).order_by(CheckpointRow.trial_id, CheckpointRow.id)
    )
    found.saved = tuple(
        SavedFile(row.trial_id, row.samples_seen, str(row.path), row.sha256, row.bytes)
        for row in saved
    )
    attempts = connection.execute(
        select(AttemptRow.trial_id, type_coerce(AttemptRow.number, String))
        .where(AttemptRow.ended.is_(None))
        .order_by(AttemptRow.started)
    )
    found.open_attempts = tuple(f"{trial_id} attempt {number}" for trial_id, number in attempts)
    found.is_read = True


def _writing(db: Database) -> tuple[bool, int] | None:
    """What differs once somebody has begun to write the file; None where there is no file."""
    if not isinstance(db, Path) or not db.exists():
        return None
    return db.with_name(f"{db.name}-wal").exists(), db.stat().st_mtime_ns
