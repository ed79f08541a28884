"""Stores of earlier schemas: brought to the latest when opened for writing, seen so when read.

A file that is only read may lie where nothing can be written, so a reader leaves it as it is.
"""

from collections.abc import Iterator
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


_IN_POSTGRESQL = {
    "INTEGER": "BIGINT",
    "DOUBLE": "DOUBLE PRECISION",
    "VARCHAR": 'VARCHAR COLLATE "C"',
}
"""Types that are called otherwise there; SQLite has one size of integer and compares by bytes."""


def migrate(connection: Connection, version: int) -> None:
    """Bring tables at `version` to the latest schema, in the transaction at hand."""
    is_postgresql = connection.dialect.name == "postgresql"
    for column in _lacking(version):
        kind = _IN_POSTGRESQL.get(column.type, column.type) if is_postgresql else column.type
        connection.exec_driver_sql(f"ALTER TABLE {column.table} ADD COLUMN {column.name} {kind}")


def views_as_latest(version: int, schema: str, *, is_postgresql: bool = False) -> Iterator[str]:
    """Statements that let a connection find tables at `version` as the latest schema has them.

    A temporary view of a table's name goes before the table in `schema`, and is no part of the
    store.
    """
    columns: dict[str, list[str]] = {}
    for column in _lacking(version):
        kind = _IN_POSTGRESQL.get(column.type, column.type)
        value = f"CAST(NULL AS {kind.partition(' COLLATE')[0]})" if is_postgresql else "NULL"
        columns.setdefault(column.table, []).append(f"{value} AS {column.name}")
    for table, names in columns.items():
        yield f"CREATE TEMP VIEW {table} AS SELECT *, {', '.join(names)} FROM {schema}.{table}"


def _lacking(version: int) -> list[_AddedColumn]:
    """What tables at `version` lack."""
    return [column for added in range(version + 1, SCHEMA_VERSION + 1) for column in _ADDED[added]]
