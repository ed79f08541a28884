"""Parts of statements."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, insert

from scaling.store.tables import Row

T = TypeVar("T")


def chunks(ids: Sequence[T], size: int = 10_000) -> Iterator[Sequence[T]]:
    """`ids` in parts that fit into one statement (SQLite: at most 32,766 variables)."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def insert_many(
    connection: Connection, table: type[Row], names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows of the columns `names`, whose values the driver takes as they are.

    To look at each value, as SQLAlchemy's own `insert` does, takes as long as to write it.
    """
    if not rows:
        return
    statement = insert(table).compile(dialect=connection.dialect, column_keys=list(names))
    order = statement.positiontup
    if order is None:
        connection.exec_driver_sql(
            str(statement), [dict(zip(names, row, strict=True)) for row in rows]
        )
        return
    if list(order) != list(names):
        places = [names.index(name) for name in order]
        rows = [tuple(row[place] for place in places) for row in rows]
    connection.exec_driver_sql(str(statement), list(rows))
