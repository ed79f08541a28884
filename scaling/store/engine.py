"""Opening a store's file: ours and of a version that we know, or refused with the reason."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, text
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError

from scaling.errors import StoreError
from scaling.store.migrations import migrate, view_as_latest
from scaling.store.tables import SCHEMA_VERSION, Row

APPLICATION_ID = 0x5CA11A75
"""Marks the file as ours (`PRAGMA application_id`): any SQLite file opens, few are stores."""

_BUSY_MILLISECONDS = 30_000


_PASSING = (
    "is full",
    "is locked",
    "disk I/O error",
    "locking protocol",
    "unable to open database file",
)
"""What SQLite says of troubles that may pass; the last two of network file systems in trouble."""


class UnavailableError(StoreError):
    """The store cannot be written right now: its disk is full, or somebody else has locked it."""


def check_place(path: Path) -> None:
    """Raise `StoreError` if no file can be at `path`."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a store; name a file, e.g. {path}/results.db")
    if not path.parent.is_dir():
        raise StoreError(f"{path} cannot be: the folder {path.parent} does not exist")


def open_for_writing(path: Path) -> Engine:
    """An engine on the store at `path`, made if missing and brought to the latest schema.

    Raises `StoreError` if the file is not ours.
    """
    engine = _engine(path, mode="rwc", begin="BEGIN IMMEDIATE")
    with transaction(engine, path) as connection:
        if _is_blank(connection):
            Row.metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        migrate(connection, _check_version(connection, path))
    _write_ahead(engine, path)
    return engine


def open_for_reading(path: Path) -> Engine:
    """A read-only engine on the store at `path`; raises `StoreError` if there is none."""
    remedy = "`scaling run GRID` and `scaling import PATH` make one"
    check_place(path)
    if not path.exists():
        raise StoreError(f"there is no store at {path}; {remedy}")
    # Not even a reader opens a file in WAL mode where it cannot make the -shm file, unless it
    # promises that nobody writes; and where the folder is read-only nobody can.
    frozen = (
        not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    )
    engine = _engine(path, mode="ro&immutable=1" if frozen else "ro", begin="BEGIN")
    with transaction(engine, path) as connection:
        if _is_blank(connection):
            raise StoreError(f"the store at {path} is empty; {remedy}")
        version = _check_version(connection, path)
    if version < SCHEMA_VERSION:
        event.listen(engine, "connect", partial(view_as_latest, version=version))
        engine.dispose()
    return engine


@contextmanager
def transaction(engine: Engine, path: Path) -> Iterator[Connection]:
    """All or nothing; what SQLite has against the file becomes a `StoreError`."""
    try:
        with engine.begin() as connection:
            yield connection
    except (IntegrityError, ProgrammingError):
        raise  # Ours to mend, not the user's.
    except DatabaseError as error:
        reason = str(error.orig)
        if "not a database" in reason:
            raise StoreError(f"{path} is not a scaling store: it is no SQLite file") from error
        if "malformed" in reason or "no such table" in reason:
            raise StoreError(
                f"{path} is damaged ({reason}); restore it from a copy, or move it away and run "
                "the grid again"
            ) from error
        if any(word in reason for word in _PASSING):
            raise UnavailableError(f"{path}: {reason}") from error
        raise StoreError(f"{path}: {reason}") from error


def _engine(path: Path, *, mode: str, begin: str) -> Engine:
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _: object) -> None:
        # The driver's own transactions begin late and never around DDL; ours begin below.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _write_ahead(engine: Engine, path: Path) -> None:
    """Keep readers from stopping the writer, and the writer from stopping readers.

    The mode is kept in the file, so it is set only once the file is known to be ours.
    """
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if "is full" in str(error):
            raise UnavailableError(f"{path}: {error}") from error
        raise StoreError(
            f"{path}: {error}; the store belongs on a local disk, network file systems lack the "
            "locks that it needs"
        ) from error
    finally:
        connection.close()


def _is_blank(connection: Connection) -> bool:
    """Whether the file holds nothing at all yet."""
    return _pragma(connection, "application_id") == 0 and not connection.scalar(
        text("SELECT count(*) FROM sqlite_master")
    )


def _check_version(connection: Connection, path: Path) -> int:
    """The schema of a file that is ours and no later than we know; else raises `StoreError`."""
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise StoreError(f"{path} is not a scaling store: something else made this SQLite file")
    version = _pragma(connection, "user_version")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a later version of scaling (schema {version}, this one knows "
            f"up to {SCHEMA_VERSION}); upgrade scaling"
        )
    return version


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
