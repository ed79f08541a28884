"""One writer of a PostgreSQL store: a lock that its connection holds, and a row that says who."""

import uuid
from dataclasses import replace

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, delete, insert, text
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from scaling.database import ServerURL
from scaling.errors import StoreError
from scaling.store.backend import UnavailableError
from scaling.store.lock import Holder, in_use

WRITER = Table(
    "scaling_writer",
    MetaData(),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("started", Text, nullable=False),
    Column("token", Text, nullable=False),
)
"""The process that writes, or that died writing: one row, or none. The token tells writers of one
process apart."""

_SPACE = 0x5CA11A75
"""Tells our advisory locks from those of other programs in the same database."""

# A database may hold several stores, each in a schema of its own, whose number tells locks apart.
_SCHEMA = "to_regnamespace(quote_ident(current_schema()))::oid"
_TRY = f"SELECT pg_try_advisory_lock({_SPACE}, {_SCHEMA}::int)"
_WHO = f"SELECT host, pid, started, token FROM {WRITER.name}"
_IS_HELD = f"""
SELECT count(*) > 0 FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid = {_SPACE} AND objid = {_SCHEMA}
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_NOTICE_A_DEAD_MACHINE = (
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)
"""The server hears of a process that died at once, of a machine without power only if it asks: by
default after two hours, with these after a minute."""


class ServerLock:
    """The right to write, which ends with the connection: the server sees to that."""

    def __init__(self, url: ServerURL) -> None:
        """Nothing is taken yet; each connection has to `take` it."""
        self._url = url
        self._me = Holder.this_process()
        self._token = uuid.uuid4().hex
        self._has_signed = False

    def take(self, connection: DBAPIConnection, _: object) -> None:
        """Take the lock for a connection that was made just now.

        Raises `StoreError` naming the process that has it, or that has had it since this one lost
        its connection; `UnavailableError` if the server still takes that for alive.
        """
        try:
            self._take(connection.cursor())
            connection.commit()
        except BaseException as error:
            connection.close()
            if hasattr(error, "sqlstate"):  # The driver's own, which SQLAlchemy has not seen.
                raise UnavailableError(f"{self._url}: {error}") from error
            raise

    def sign(self, connection: Connection) -> None:
        """Say who has the lock."""
        connection.execute(delete(WRITER))
        connection.execute(insert(WRITER), {**self._me.row(), "token": self._token})
        self._has_signed = True

    def strike_out(self, connection: Connection) -> None:
        """Say that nobody has it; who is killed leaves the name there."""
        if self._has_signed:
            connection.execute(delete(WRITER))

    def _take(self, cursor: DBAPICursor) -> None:
        for statement in _NOTICE_A_DEAD_MACHINE:
            cursor.execute(statement)
        cursor.execute("SELECT current_schema()")
        if cursor.fetchone() == (None,):
            raise StoreError(f"{self._url}: the schema that its search_path names does not exist")
        cursor.execute(_TRY)
        is_ours = cursor.fetchone() == (True,)
        cursor.execute(f"SELECT to_regclass('{WRITER.name}') IS NOT NULL")
        there, token = None, None
        if cursor.fetchone() == (True,):
            cursor.execute(_WHO)
            if (row := cursor.fetchone()) is not None:
                there, token = Holder(*row[:3]), row[3]
        if self._has_signed and token == self._token:
            if not is_ours:
                raise UnavailableError(f"{self._url}: the lost connection still holds the lock")
        elif self._has_signed:
            raise StoreError(
                f"{self._url} was taken over by {there or 'another process'} while it could not "
                "be reached from here"
            )
        elif not is_ours:
            raise in_use(self._url, there)


def holder_of(connection: Connection) -> Holder | None:
    """Who signed last, and whether the lock is held."""
    row = connection.execute(text(_WHO)).first()
    if row is None:
        return None
    return replace(Holder(*row[:3]), is_alive=bool(connection.scalar(text(_IS_HELD))))
