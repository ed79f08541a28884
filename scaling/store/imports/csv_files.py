"""Strict CSV: every cell parsed, every problem of a file in one message, nothing guessed."""

import csv
import gzip
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from scaling.errors import DataError, unknown

Parse = Callable[[str], Any]
"""A value from a cell's text; raises `ValueError` with what is allowed."""

_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+/@:,()-]{0,199}")
_SHOWN = 20
_GZIP = b"\x1f\x8b"


class CsvRow(NamedTuple):
    """A parsed row and where it stands."""

    line: int
    values: Mapping[str, Any]


def read_csv(path: Path, columns: Mapping[str, Parse], *, unique: Sequence[str]) -> list[CsvRow]:
    """The rows of the file at `path`, whose header must be `columns` in any order.

    Rows that repeat another's `unique` columns are left out if they agree in all others. Raises
    `DataError` with every problem of the file: its line, its column, and what is allowed there.
    """
    numbered = lines(path)
    header = next(numbered, (0, []))[1]
    if problems := _header_problems(header, columns):
        raise data_error(path, problems)
    rows: dict[tuple[Any, ...], CsvRow] = {}
    for number, cells in numbered:
        if len(cells) != len(header):
            problems.append(f"line {number}: {len(cells)} cells, the header has {len(header)}")
            continue
        values, wrong = _parse(dict(zip(header, cells, strict=True)), columns)
        problems += [f"line {number}, {problem}" for problem in wrong]
        if wrong:
            continue
        row = CsvRow(number, values)
        first = rows.setdefault(tuple(values[name] for name in unique), row)
        problems += _contradictions(first, row)
    if problems:
        raise data_error(path, problems)
    return list(rows.values())


def name(text: str) -> str:
    """A name of something."""
    if not _NAME.fullmatch(text):
        raise ValueError("is not a name; letters, digits and ._+/@:,()- are allowed")
    return text


def words(text: str) -> str:
    """Anything printable."""
    if not text.isprintable() or len(text) > 1000:
        raise ValueError("is not printable text of at most 1,000 characters")
    return text


def positive_count(text: str) -> int:
    """A positive whole number."""
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) == 0:
        raise ValueError("is not a positive whole number")
    return int(text)


def positive(text: str) -> float:
    """A positive number."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not 0 < value < math.inf:
        raise ValueError("is not a positive number")
    return value


def not_negative(text: str) -> float:
    """A number of 0 or more."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not 0 <= value < math.inf:
        raise ValueError("is not a number of 0 or more")
    return value


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not 0 <= value <= 1:
        raise ValueError("is not a number from 0 to 1")
    return value


def lines(path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Each line that is not blank, with its number."""
    try:
        with _open_text(path) as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is not a whole gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8: {error}") from error
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: is not CSV: {error}") from error


def _open_text(path: Path) -> TextIO:
    """The file as text, unpacked if it is packed by gzip, as its first bytes say."""
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
    if packed:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def shown(text: str) -> str:
    """A cell's text in quotes, cut where it is long."""
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def _header_problems(header: Sequence[str], columns: Mapping[str, Parse]) -> list[str]:
    if not header:
        return [f"is empty; its first line must name the columns {', '.join(columns)}"]
    missing = [f"the column {name!r} is missing" for name in columns if name not in header]
    strange = [unknown("column", name, columns) for name in header if name not in columns]
    twice = sorted({name for name in header if header.count(name) > 1})
    return [*missing, *strange, *(f"the column {name!r} is there twice" for name in twice)]


def _parse(
    cells: Mapping[str, str], columns: Mapping[str, Parse]
) -> tuple[dict[str, Any], list[str]]:
    values, wrong = {}, []
    for column, text in cells.items():
        try:
            values[column] = columns[column](text)
        except ValueError as error:
            wrong.append(f"{column}: {shown(text)} {error}")
    return values, wrong


def _contradictions(first: CsvRow, row: CsvRow) -> list[str]:
    return [
        f"line {row.line}, {column}: {value!r}, but line {first.line} says "
        f"{first.values[column]!r} about the same thing"
        for column, value in row.values.items()
        if first.values[column] != value
    ]


def data_error(path: Path, problems: Sequence[str]) -> DataError:
    """The message that lists the `problems` of the file at `path`, or the first of them."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
    more = [f"and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
    return DataError("\n  ".join([f"{path}: {count}", *problems[:_SHOWN], *more]))
