"""A store in a file of its own, which SQLite reads and writes."""

import os
import sqlite3
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, text
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError

from scaling.errors import StoreError
from scaling.store.backend import REMEDY, Backend, UnavailableError, check_not_later, no_store
from scaling.store.lock import FileLock, Holder, last_holder_of_file
from scaling.store.migrations import migrate, views_as_latest
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


class SQLite(Backend):
    """See `Backend`. The version of the schema is the file's `PRAGMA user_version`."""

    def __init__(self, path: Path, *, leaves_no_trace: bool = False) -> None:
        """The store is, or will be, at `path`.

        With `leaves_no_trace`, reading makes no file beside one that nobody writes; if somebody
        begins to, what is read may be torn.
        """
        self._path = path
        self._leaves_no_trace = leaves_no_trace
        self._lock: FileLock | None = None

    @property
    def db(self) -> Path:
        """See `Backend.db`."""
        return self._path

    def exists(self) -> bool:
        """See `Backend.exists`."""
        return self._path.exists()

    def open_for_writing(self) -> Engine:
        """See `Backend.open_for_writing`."""
        self._check_place()
        self._lock = FileLock(self._path)
        try:
            engine = _engine(self._path, mode="rwc", begin="BEGIN IMMEDIATE")
            with self.transaction(engine) as connection:
                if _is_blank(connection):
                    Row.metadata.create_all(connection)
                    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                    _set_version(connection)
                if self._check_version(connection) < SCHEMA_VERSION:
                    migrate(connection, self._check_version(connection))
                    _set_version(connection)
            self._write_ahead(engine)
        except BaseException:
            self._lock.release()
            raise
        return engine

    def open_for_reading(self) -> Engine:
        """See `Backend.open_for_reading`."""
        self._check_place()
        if not self._path.exists():
            raise no_store(self._path)
        # Not even a reader opens a file in WAL mode where it cannot make the -shm file, unless it
        # promises that nobody writes; and where the folder is read-only nobody can.
        frozen = (
            self._leaves_no_trace or not os.access(self._path.parent, os.W_OK)
        ) and not self._path.with_name(f"{self._path.name}-wal").exists()
        mode = "ro&immutable=1" if frozen else "ro"
        engine = _engine(self._path, mode=mode, begin="BEGIN")
        with self.transaction(engine) as connection:
            if _is_blank(connection):
                raise StoreError(f"the store at {self._path} is empty; {REMEDY}")
            version = self._check_version(connection)
        if version < SCHEMA_VERSION:
            event.listen(engine, "connect", partial(_view_as_latest, version=version))
            engine.dispose()
        return engine

    def close(self, engine: Engine) -> None:
        """See `Backend.close`."""
        engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def last_holder(self) -> Holder | None:
        """See `Backend.last_holder`."""
        return last_holder_of_file(self._path)

    def explain(self, error: DatabaseError) -> StoreError | None:
        """See `Backend.explain`."""
        if isinstance(error, IntegrityError | ProgrammingError):
            return None
        path, reason = self._path, str(error.orig)
        if "not a database" in reason:
            return StoreError(f"{path} is not a scaling store: it is no SQLite file")
        if "malformed" in reason or "no such table" in reason:
            return StoreError(
                f"{path} is damaged ({reason}); restore it from a copy, or move it away and run "
                "the grid again"
            )
        if any(word in reason for word in _PASSING):
            return UnavailableError(f"{path}: {reason}")
        return StoreError(f"{path}: {reason}")

    def _check_place(self) -> None:
        """Raise `StoreError` if no file can be there."""
        path = self._path
        if path.is_dir():
            raise StoreError(
                f"{path} is a folder, not a store; name a file, e.g. {path}/results.db"
            )
        if not path.parent.is_dir():
            raise StoreError(f"{path} cannot be: the folder {path.parent} does not exist")

    def _check_version(self, connection: Connection) -> int:
        """The schema of a file that is ours and no later than we know; else `StoreError`."""
        if _pragma(connection, "application_id") != APPLICATION_ID:
            raise StoreError(
                f"{self._path} is not a scaling store: something else made this SQLite file"
            )
        version = _pragma(connection, "user_version")
        check_not_later(version, self._path)
        return version

    def _write_ahead(self, engine: Engine) -> None:
        """Keep readers from stopping the writer, and the writer from stopping readers.

        The mode is kept in the file, so it is set only once the file is known to be ours.
        """
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "is full" in str(error):
                raise UnavailableError(f"{self._path}: {error}") from error
            raise StoreError(
                f"{self._path}: {error}; the store belongs on a local disk, network file systems "
                "lack the locks that it needs"
            ) from error
        finally:
            connection.close()


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


def _view_as_latest(connection: sqlite3.Connection, _: object, *, version: int) -> None:
    for statement in views_as_latest(version, "main"):
        connection.execute(statement)


def _is_blank(connection: Connection) -> bool:
    """Whether the file holds nothing at all yet."""
    return _pragma(connection, "application_id") == 0 and not connection.scalar(
        text("SELECT count(*) FROM sqlite_master")
    )


def _set_version(connection: Connection) -> None:
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
