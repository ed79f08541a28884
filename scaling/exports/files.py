"""How an export is written: all of it or nothing, at the name that was asked for.

Units and meanings go where each format has a place for them that no reader has to skip: Parquet
has metadata of its fields; JSON a schema block (Frictionless Table Schema, which
`pandas.read_json(..., orient="table")` takes); beside a CSV file stands NAME-metadata.json, as
"CSV on the Web" of the W3C has it, since a comment would stop `read.csv` and `pandas.read_csv`.
"""

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from scaling.errors import DataError, StoreError, unknown
from scaling.exports.columns import PYTHON_TYPES, Column

Rows = Iterable[Mapping[str, Any]]
MARK = "scaling export 1"
"""What the metadata calls itself, by which imports know it."""
_AT_ONCE = 20_000
"""Rows that are in memory at once, and in one row group of a Parquet file."""


def write(path: Path, rows: Rows, columns: Sequence[Column], about: Mapping[str, str]) -> int:
    """Write `rows` to the file at `path` and say how many they are.

    The format goes by the end of the name; `about` is put into the metadata. A file that was there
    stays as it was unless everything was written. Raises `DataError` if the file cannot be
    written, `StoreError` if a row has something else than a column may hold.
    """
    writer = FORMATS.get(path.suffix.lower().lstrip("."))
    if writer is None:
        raise DataError(
            f"{path}: {unknown('format', path.suffix.lstrip('.'), FORMATS)}; the end of the name "
            "says which, e.g. results.parquet"
        )
    counted = _Counted(_checked(rows, columns))
    try:
        writer(path, counted, columns, {"format": MARK, **about})
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    return counted.count


class _Counted:
    """Rows that are counted while they pass."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _checked(rows: Rows, columns: Sequence[Column]) -> Iterator[Mapping[str, Any]]:
    """`rows`, or `StoreError` at text in a number's place, which SQLite lets anyone write."""
    types = [(column, PYTHON_TYPES[column.type]) for column in columns]
    for row in rows:
        for column, allowed in types:
            value = row[column.name]
            if value is not None and not isinstance(value, allowed):
                raise StoreError(
                    f"the store is damaged: trial {row['trial']}, {row['task']} {row['metric']}: "
                    f"{column.name} is {value!r}, not of type {column.type}"
                )
        yield row


def _write_csv(
    path: Path, rows: Rows, columns: Sequence[Column], about: Mapping[str, str]
) -> None:
    names = [column.name for column in columns]
    with _replacing(path) as file:
        # Quoting doubles quotes and keeps line breaks; floats are in their shortest exact form.
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([row[name] for name in names] for row in rows)
    described = {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "url": path.name,
        "dc:description": dict(about),
        "tableSchema": {
            "columns": [
                {
                    "name": column.name,
                    "titles": column.name,
                    "datatype": column.type,
                    "dc:description": column.description,
                    "unit": column.unit,
                }
                for column in columns
            ]
        },
    }
    with _replacing(path.with_name(f"{path.name}-metadata.json")) as file:
        file.write(json.dumps(described, indent=2) + "\n")


def _write_json(
    path: Path, rows: Rows, columns: Sequence[Column], about: Mapping[str, str]
) -> None:
    fields = [
        {
            "name": column.name,
            "type": column.type,
            "unit": column.unit,
            "description": column.description,
            # For pandas, whose own integers cannot be missing.
            **({"extDtype": "Int64"} if column.type == "integer" else {}),
        }
        for column in columns
    ]
    names = [column.name for column in columns]
    head = json.dumps({"scaling": dict(about), "schema": {"fields": fields}})
    with _replacing(path) as file:
        file.write(head[:-1] + ', "data": [')
        for number, row in enumerate(rows):
            line = json.dumps({name: _plain(row[name]) for name in names})
            file.write((",\n" if number else "\n") + line)
        file.write("\n]}\n")


def _plain(value: Any) -> Any:
    """JSON has no infinity."""
    is_infinite = isinstance(value, float) and (value - value != 0)
    return None if is_infinite else value


def _write_parquet(
    path: Path, rows: Rows, columns: Sequence[Column], about: Mapping[str, str]
) -> None:
    import pyarrow
    from pyarrow import parquet

    types = {"string": pyarrow.string(), "integer": pyarrow.int64(), "number": pyarrow.float64()}
    schema = pyarrow.schema(
        [
            pyarrow.field(
                column.name,
                types[column.type],
                metadata={"unit": column.unit or "", "description": column.description},
            )
            for column in columns
        ],
        metadata={"scaling": json.dumps(dict(about))},
    )
    left = iter(rows)
    with _temporary(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        while part := list(islice(left, _AT_ONCE)):
            arrays = [
                pyarrow.array([row[field.name] for row in part], field.type) for field in schema
            ]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A text file that gets the name `path` once it is whole."""
    with (
        _temporary(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        yield file


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place, or goes if anything is raised."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


FORMATS: dict[str, Callable[[Path, Rows, Sequence[Column], Mapping[str, str]], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "json": _write_json,
}
"""What writes a file, by the end of its name."""
