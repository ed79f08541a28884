"""A store in a database of a PostgreSQL server, in the schema that the connection works in."""

from functools import partial

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, ProgrammingError

from scaling.database import ServerURL, without_passwords
from scaling.errors import StoreError
from scaling.store.backend import Backend, UnavailableError, check_not_later, no_store
from scaling.store.lock import Holder
from scaling.store.migrations import migrate, views_as_latest
from scaling.store.postgres_lock import WRITER, ServerLock, holder_of
from scaling.store.tables import SCHEMA_VERSION, Row

_OWN = MetaData()
_STORE = Table("scaling_store", _OWN, Column("schema_version", Integer, nullable=False))
"""One row; that the table is there says that the tables beside it are a store."""

_SECONDS_TO_CONNECT = 10
_SECONDS_FOR_READERS = 30
"""How long a migration waits for readers, which it needs the tables from; nothing else does."""

_PASSING = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE that may pass: connection lost, transaction to be repeated, disk or memory
exhausted, locked, server shut down (PostgreSQL's documentation, appendix A)."""


class PostgreSQL(Backend):
    """See `Backend`. The writer has one connection, and what it holds of the server ends with it.

    The version of the schema is in the table `scaling_store`.
    """

    def __init__(self, url: ServerURL) -> None:
        """The store is, or will be, at `url`."""
        self._url = url
        self._lock: ServerLock | None = None

    @property
    def db(self) -> ServerURL:
        """See `Backend.db`."""
        return self._url

    def exists(self) -> bool:
        """See `Backend.exists`."""
        engine = self._engine()
        try:
            with self.transaction(engine) as connection:
                return bool(_tables(connection))
        finally:
            engine.dispose()

    def open_for_writing(self) -> Engine:
        """See `Backend.open_for_writing`."""
        # A lost connection is noticed before it is used, and the next one takes the lock again.
        engine = self._engine(pool_size=1, max_overflow=0, pool_pre_ping=True)
        self._lock = ServerLock(self._url)
        event.listen(engine, "connect", self._lock.take)
        try:
            with self.transaction(engine) as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = '{_SECONDS_FOR_READERS}s'"))
                if not _tables(connection):
                    Row.metadata.create_all(connection, checkfirst=False)
                    for table in (_STORE, WRITER):
                        table.create(connection)
                    connection.execute(insert(_STORE), {"schema_version": SCHEMA_VERSION})
                version = self._check_version(connection)
                if version < SCHEMA_VERSION:
                    migrate(connection, version)
                    connection.execute(update(_STORE), {"schema_version": SCHEMA_VERSION})
                self._lock.sign(connection)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def open_for_reading(self) -> Engine:
        """See `Backend.open_for_reading`."""
        # Whatever is read in one transaction is of one moment, as in SQLite.
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        engine = self._engine(execution_options=options, pool_pre_ping=True)
        try:
            with self.transaction(engine) as connection:
                if not _tables(connection):
                    raise no_store(self._url)
                version = self._check_version(connection)
        except BaseException:
            engine.dispose()
            raise
        if version < SCHEMA_VERSION:
            event.listen(engine, "connect", partial(_view_as_latest, version=version))
            engine.dispose()
        return engine

    def close(self, engine: Engine) -> None:
        """See `Backend.close`."""
        try:
            if self._lock is not None:
                with self.transaction(engine) as connection:
                    self._lock.strike_out(connection)
        except StoreError:
            pass  # Out of reach, or another's by now; the lock went with the connection.
        finally:
            self._lock = None
            engine.dispose()

    def last_holder(self) -> Holder | None:
        """See `Backend.last_holder`."""
        engine = self._engine()
        try:
            with self.transaction(engine) as connection:
                return holder_of(connection) if WRITER.name in _tables(connection) else None
        finally:
            engine.dispose()

    def explain(self, error: DatabaseError) -> StoreError | None:
        """See `Backend.explain`."""
        state = getattr(error.orig, "sqlstate", None) or ""
        reason = " ".join(without_passwords(str(error.orig)).split())
        if state == "42P01":  # undefined_table
            return StoreError(f"{self._url} is damaged ({reason}); restore it from a copy")
        if isinstance(error, ProgrammingError) and state != "42501":  # insufficient_privilege
            return None
        if state.startswith("23"):  # A constraint.
            return None
        if error.connection_invalidated or not state or state[:2] in _PASSING:
            return UnavailableError(f"{self._url}: {reason}")
        return StoreError(f"{self._url}: {reason}")

    def _engine(self, **options: object) -> Engine:
        try:
            url = make_url(self._url.secret).set(drivername="postgresql+psycopg")
            if "connect_timeout" not in url.query:
                url = url.update_query_dict({"connect_timeout": str(_SECONDS_TO_CONNECT)})
            return create_engine(url, **options)
        except ImportError as error:
            raise StoreError(
                f"{self._url}: PostgreSQL needs psycopg, which cannot be loaded ({error}); "
                "`pip install 'scaling[postgres]'`"
            ) from error
        except (ArgumentError, ValueError) as error:
            raise StoreError(f"{self._url} is no address of a database") from error

    def _check_version(self, connection: Connection) -> int:
        """The schema of a store that is ours and no later than we know; else `StoreError`."""
        tables = _tables(connection)
        if _STORE.name not in tables:
            raise StoreError(
                f"{self._url} is not a scaling store: there are tables of something else "
                f"({', '.join(tables[:3])}); give it a database of its own"
            )
        version = int(connection.scalar(select(_STORE.c.schema_version)) or 0)
        check_not_later(version, self._url)
        return version


def _tables(connection: Connection) -> list[str]:
    """The names of all tables of the schema that the connection works in."""
    return sorted(inspect(connection).get_table_names())


def _view_as_latest(connection: DBAPIConnection, _: object, *, version: int) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT quote_ident(current_schema())")
    (schema,) = cursor.fetchone() or ("public",)
    for statement in views_as_latest(version, schema, is_postgresql=True):
        cursor.execute(statement)
    connection.commit()
