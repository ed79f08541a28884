"""The formats that can be imported, and which of them a path is in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scaling.errors import DataError, unknown
from scaling.store.imports import exported, published, table
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.records import Imported

AUTO = "auto"


@dataclass(frozen=True)
class Format:
    """How one kind of file or folder is recognised and read."""

    holds: str
    """What it is, for messages."""
    recognises: Callable[[Path], bool]
    read: Callable[[Path, ColumnMap], Imported]


def _without_columns(
    read_folder: Callable[[Path], Imported],
) -> Callable[[Path, ColumnMap], Imported]:
    """`read_folder`, which knows its columns and refuses to be told others."""

    def read_it(path: Path, columns: ColumnMap) -> Imported:
        if columns != ColumnMap():
            raise DataError(f"{path}: this format has its own columns; a mapping is for tables")
        return read_folder(path)

    return read_it


FORMATS: dict[str, Format] = {
    "published": Format(
        "a folder with measurements.csv and model_profile.csv",
        published.recognises,
        _without_columns(published.read_published),
    ),
    "export": Format(
        "what `scaling export` wrote", exported.recognises, _without_columns(exported.read_export)
    ),
    "table": Format("a CSV or Parquet file", table.recognises, table.read_table),
}
"""By name; the first that recognises a path reads it."""


def read(path: Path, name: str = AUTO, columns: ColumnMap | None = None) -> Imported:
    """What is at `path`, in the format called `name`, or the one that it is seen to be in.

    Raises `DataError` with everything that is wrong with it.
    """
    if name != AUTO and name not in FORMATS:
        raise DataError(f"--format: {unknown('format', name, [AUTO, *FORMATS])}")
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if name != AUTO:
        return FORMATS[name].read(path, columns or ColumnMap())
    for format_ in FORMATS.values():
        if format_.recognises(path):
            return format_.read(path, columns or ColumnMap())
    known = "; ".join(f"{name}: {format_.holds}" for name, format_ in FORMATS.items())
    raise DataError(f"{path} is in no format that can be imported ({known})")
