"""A table in a file, CSV or Parquet, as texts; what a cell may hold is the reader's business."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.errors import DataError
from scaling.store.imports.csv_files import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

PARQUET = b"PAR1"
"""The first bytes of a Parquet file."""


@dataclass(frozen=True)
class RawTable:
    """The texts of a table."""

    header: list[str]
    rows: list[tuple[str, list[str]]]
    """Place ('line 7' of a CSV file, 'row 7' of a Parquet file) and cells."""
    problems: list[str] = field(default_factory=list)
    """Rows that have more or fewer cells than the header."""


def read_texts(path: Path) -> RawTable:
    """The table at `path`; Parquet is known by its content, tabs by the name's end .tsv."""
    try:
        with path.open("rb") as file:
            start = file.read(len(PARQUET))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return _read_parquet(path) if start == PARQUET else _read_csv(path)


def header_of(path: Path) -> list[str]:
    """The names of its columns; raises `DataError`."""
    with path.open("rb") as file:
        start = file.read(len(PARQUET))
    if start == PARQUET:
        return _parquet_header(path)
    numbered = lines(path, "\t" if path.suffix.lower() == ".tsv" else ",")
    return [column.strip() for column in next(numbered, (0, []))[1]]


def _parquet_header(path: Path) -> list[str]:
    from pyarrow import ArrowException, parquet

    try:
        return [str(column) for column in parquet.read_schema(path).names]
    except (ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {error}") from error


def _read_csv(path: Path) -> RawTable:
    numbered = lines(path, "\t" if path.suffix.lower() == ".tsv" else ",")
    header = next(numbered, (0, []))[1]
    table = RawTable([name.strip() for name in header], [])
    for number, cells in numbered:
        if len(cells) == len(header):
            table.rows.append((f"line {number}", [cell.strip() for cell in cells]))
        else:
            table.problems.append(
                f"line {number}: {len(cells)} cells, the header has {len(header)}"
            )
    return table


def _read_parquet(path: Path) -> RawTable:
    from pyarrow import ArrowException, parquet

    try:
        found = parquet.read_table(path)
        columns = [column.to_pylist() for column in found.columns]
    # Values become Python's only in the second line: text that is no UTF-8, dates out of range.
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {error}") from error
    rows: Iterator[tuple[Any, ...]] = zip(*columns, strict=True)
    return RawTable(
        [str(name) for name in found.column_names],
        [(f"row {n}", [_text(value) for value in row]) for n, row in enumerate(rows, start=1)],
    )


def _text(value: object) -> str:
    """As it would stand in a CSV file; floats keep all their digits."""
    return "" if value is None else str(value)
