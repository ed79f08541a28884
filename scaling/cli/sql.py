"""`scaling sql`: questions to the store that no command asks."""

import csv
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.store.schema import TableMeaning
    from scaling.store.sql import Answer


def sql(
    statement: Annotated[
        str, typer.Argument(metavar="[STATEMENT]", help="One statement, or '-' to read it.")
    ] = "",
    schema: Annotated[
        bool,
        typer.Option(
            "--schema", help="Show tables and columns with what they mean (STATEMENT: of one)."
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Rows at most; 0 for all of them.")
    ] = 1000,
    db: options.Database = options.RESULTS,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: options.Json = False,
) -> None:
    """Select from the store with one SQL statement, which can read and do nothing else.

    \b
    scaling sql "select state, count(*) from trial group by state"
    scaling sql "select task, max(value) from measurement group by task" --csv
    scaling sql --schema

    A run that goes on is not disturbed, and Ctrl-C ends a statement that takes long. JSON in a
    column is read by SQLite's own functions: identity ->> '$.recipe.batch_size'.
    """
    from scaling.errors import ScalingError

    if as_csv and as_json:
        raise ScalingError("--csv and --json are two ways of printing; choose one")
    if schema:
        _show_schema(statement, as_json=as_json)
        return
    from scaling.store.sql import ask

    answer = ask(db, sys.stdin.read() if statement == "-" else statement, limit or None)
    if as_json:
        rows = [map(_for_json, row) for row in answer.rows]
        named = [dict(zip(answer.columns, row, strict=True)) for row in rows]
        typer.echo(json.dumps(named, indent=2))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([map(_text, row) for row in answer.rows])
    else:
        _show(answer)
    if answer.is_cut:
        typer.echo(f"the first {limit:,} rows; --limit 0 shows all", err=True)


def _show(answer: "Answer") -> None:
    from scaling.cli.columns import show, width_of_terminal

    numeric = [
        name
        for name, column in zip(answer.columns, zip(*answer.rows, strict=True), strict=False)
        if all(value is None or isinstance(value, int | float) for value in column)
    ]
    rows = [[_text(value) for value in row] for row in answer.rows]
    show(answer.columns, rows, right=numeric, width=width_of_terminal())
    if not rows:
        typer.echo("no rows", err=True)


def _text(value: object) -> str:
    """Nothing for NULL, and bytes in hexadecimal digits."""
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)


def _for_json(value: Any) -> Any:
    """JSON has no bytes and no infinity."""
    is_infinite = isinstance(value, float) and value - value != 0
    return _text(value) if is_infinite or isinstance(value, bytes) else value


def _show_schema(name: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from scaling.errors import StoreError, unknown
    from scaling.store.schema import schema

    tables = schema()
    names = [table.name for table in tables]
    if name and name not in names:
        raise StoreError(unknown("table", name, names))
    chosen = [table for table in tables if name in ("", table.name)]
    if as_json:
        typer.echo(json.dumps([asdict(table) for table in chosen], indent=2))
        return
    for number, table in enumerate(chosen):
        if number:
            typer.echo()
        _show_table(table)


def _show_table(table: "TableMeaning") -> None:
    import textwrap

    from scaling.cli.columns import width_of_terminal

    width = width_of_terminal() or 100
    typer.echo(textwrap.fill(f"{table.name}: {table.meaning}", width))
    typer.echo(textwrap.fill(f"one row for each {', '.join(table.unique)}", width))
    size = max(len(column.name) for column in table.columns)
    for column in table.columns:
        words = [column.type, "or null" if column.is_optional else ""]
        if column.refers_to:
            words.append(f"-> {column.refers_to}")
        said = " ".join(filter(None, words)) + (f"; {column.meaning}" if column.meaning else "")
        lines = textwrap.wrap(said.replace("`", ""), max(30, width - size - 4))
        typer.echo(f"  {column.name:{size}}  {lines[0]}")
        for line in lines[1:]:
            typer.echo(f"  {'':{size}}  {line}")
