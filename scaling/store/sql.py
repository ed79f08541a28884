"""SQL of the curious: one statement that reads, on a connection that cannot do more."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.database import Database
from scaling.errors import StoreError, unknown
from scaling.store.sqlite import SQLite
from scaling.store.tables import Row

_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_ASKING_PRAGMAS = {
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "foreign_key_list",
    "user_version",
    "application_id",
}
"""Those that only tell something; with a value, some of them would set it."""
_SETTABLE = {"user_version", "application_id"}
_BANNED_FUNCTIONS = {"load_extension", "writefile", "edit", "fts3_tokenizer"}
_LONGEST_BYTES = 64 * 2**20
"""Of a value or a row: one that is longer would fill the memory of a machine."""
_INSTRUCTIONS = 20_000
"""Of SQLite's machine, from one look for Ctrl-C to the next; some milliseconds."""


@dataclass(frozen=True)
class Answer:
    """What a statement gave."""

    columns: tuple[str, ...]
    """Their names, made different where several are alike: id, id_2."""
    rows: list[tuple[Any, ...]]
    is_cut: bool
    """Whether there are more rows than were asked for."""


def ask(db: Database, statement: str, limit: int | None = None) -> Answer:
    """What `statement` selects from the store at `db`, at most `limit` rows of it.

    A store of an earlier schema is seen as the latest. Raises `StoreError` where the statement
    does anything but read, is several, or is no SQL, or if the store is on a server;
    `KeyboardInterrupt` if Ctrl-C comes while it
    is worked on.
    """
    if not statement.strip(" \t\r\n;"):
        raise StoreError("there is no statement; `scaling sql --schema` shows what can be asked")
    if not isinstance(db, Path):
        raise StoreError(f"{db} is on a server, whose own program asks it: psql, for PostgreSQL")
    with _connection(db) as connection:
        try:
            cursor = connection.execute(statement)
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if "interrupted" in str(error):
                raise KeyboardInterrupt from None
            raise StoreError(_explained(connection, error)) from error
    if cursor.description is None:
        raise StoreError("that is no query; write one that selects something")
    names = _different([column[0] for column in cursor.description])
    return Answer(names, rows[:limit], limit is not None and len(rows) > limit)


@contextmanager
def _connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can only read: by its mode, by `query_only`, and by what it authorizes."""
    engine = SQLite(path).open_for_reading()
    pooled = engine.raw_connection()
    try:
        connection = pooled.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        connection.execute("PRAGMA query_only = ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.text_factory = lambda data: data.decode("utf-8", errors="replace")
        # To make these tables of functions counts as making a table, so they are made before.
        connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
        connection.execute("SELECT 1 FROM pragma_table_info(''), pragma_table_list")
        connection.set_authorizer(_authorize)
        # SQLite does not look for Ctrl-C by itself; Python does when it is called. An exception
        # in here ends the statement.
        connection.set_progress_handler(lambda: 0, _INSTRUCTIONS)
        yield connection
    finally:
        pooled.invalidate()
        engine.dispose()


def _authorize(
    action: int, first: str | None, second: str | None, _database: str | None, _view: str | None
) -> int:
    is_allowed = action in _ALLOWED
    if action == sqlite3.SQLITE_FUNCTION:
        is_allowed = (second or "").lower() not in _BANNED_FUNCTIONS
    elif action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        is_allowed = name in _ASKING_PRAGMAS and not (second is not None and name in _SETTABLE)
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def _explained(connection: sqlite3.Connection, error: Exception) -> str:
    """What is wrong, with the nearest name where one is unknown."""
    text = str(error)
    if any(word in text for word in ("not authorized", "authorization", "readonly", "prohibited")):
        return (
            f"only reading is possible here, the store is written by scaling's commands ({text})"
        )
    if "one statement at a time" in text:
        return "one statement at a time, please"
    if match := re.fullmatch(r"no such table: (.+)", text):
        return unknown("table", match[1], Row.metadata.tables)
    if match := re.fullmatch(r"no such column: (?:.*\.)?([^.]+)", text):
        columns = {c.name for table in Row.metadata.tables.values() for c in table.columns}
        return f"{unknown('column', match[1], columns)}; text stands in 'single quotes'"
    if "too big" in text:
        return f"a value of more than {_LONGEST_BYTES // 2**20} MiB ({text})"
    return f"SQLite: {text}"


def _different(names: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        number, tried = 1, name
        while tried in found:
            number += 1
            tried = f"{name}_{number}"
        found.append(tried)
    return tuple(found)
