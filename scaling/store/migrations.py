"""Stores of earlier schemas: brought to the latest when opened for writing, seen so when read.

A file that is only read may lie where nothing can be written, so a reader leaves it as it is.
"""

import sqlite3
from typing import NamedTuple

from sqlalchemy import Connection

from scaling.store.tables import SCHEMA_VERSION


class _AddedColumn(NamedTuple):
    """A nullable column that rows of earlier schemas lack."""

    table: str
    name: str
    type: str


_ADDED = {
    2: (_AddedColumn("measurement", "epochs", "DOUBLE"),),
    3: (
        _AddedColumn("attempt", "trained_samples", "INTEGER"),
        _AddedColumn("attempt", "trained_seconds", "DOUBLE"),
    ),
    4: (
        _AddedColumn("attempt", "began_trial", "VARCHAR"),
        _AddedColumn("attempt", "began_samples_seen", "INTEGER"),
        _AddedColumn("attempt", "began_attempt", "INTEGER"),
        _AddedColumn("attempt", "began_sha256", "VARCHAR"),
        _AddedColumn("checkpoint", "forced", "BOOLEAN"),
    ),
    5: (
        _AddedColumn("measurement", "evaluation_set", "VARCHAR"),
        _AddedColumn("measurement", "skipped_images", "INTEGER"),
    ),
}
"""What each version of the schema added to the one before."""


def migrate(connection: Connection, version: int) -> None:
    """Bring the tables of a file at `version` to the latest schema, in the transaction at hand."""
    for column in _lacking(version):
        connection.exec_driver_sql(
            f"ALTER TABLE {column.table} ADD COLUMN {column.name} {column.type}"
        )
    if version < SCHEMA_VERSION:
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def view_as_latest(connection: sqlite3.Connection, _: object, *, version: int) -> None:
    """Let a connection find the tables of a file at `version` as the latest schema has them.

    A temporary view of a table's name goes before the table, and is no part of the file.
    """
    columns: dict[str, list[str]] = {}
    for column in _lacking(version):
        columns.setdefault(column.table, []).append(f"NULL AS {column.name}")
    for table, names in columns.items():
        connection.execute(
            f"CREATE TEMP VIEW {table} AS SELECT *, {', '.join(names)} FROM main.{table}"
        )


def _lacking(version: int) -> list[_AddedColumn]:
    """What tables at `version` lack."""
    return [column for added in range(version + 1, SCHEMA_VERSION + 1) for column in _ADDED[added]]
