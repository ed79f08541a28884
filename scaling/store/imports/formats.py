"""The formats that can be imported, and which of them a path is in."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scaling.errors import DataError, unknown
from scaling.store.imports import (
    clip_benchmark,
    exported,
    open_clip,
    published,
    reference_study,
    table,
)
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.columns import resolve
from scaling.store.imports.files import header_of
from scaling.store.imports.json_files import parse, text_of
from scaling.store.imports.records import Imported

AUTO = "auto"
_TABLE = re.compile(r"\.(csv|tsv|parquet|csv\.gz)$", re.IGNORECASE)


@dataclass(frozen=True)
class Format:
    """How one kind of file or folder is read."""

    holds: str
    """What it is, for messages."""
    read: Callable[[Path, ColumnMap], Imported]
    of_folders: bool = False


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
        _without_columns(published.read_published),
        of_folders=True,
    ),
    "export": Format("what `scaling export` wrote", _without_columns(exported.read_export)),
    "clip-benchmark": Format(
        "JSON of CLIP_benchmark: dataset, model, pretrained, task, metrics",
        clip_benchmark.read_clip_benchmark,
    ),
    "open-clip": Format(
        "a log folder of open_clip, with params.txt",
        open_clip.read_open_clip,
        of_folders=True,
    ),
    "reference-study": Format(
        "CSV or Parquet with a checkpoint and a task a row: model, namespace, pretrain_dataset, "
        "downstream_dataset, epoch, total_epochs",
        reference_study.read_reference_study,
    ),
    "table": Format("a CSV or Parquet file with any columns", table.read_table),
}


def known_format(name: str) -> str:
    """`name`; raises `DataError` with the nearest one if it is none."""
    if name != AUTO and name not in FORMATS:
        raise DataError(f"--format: {unknown('format', name, [AUTO, *FORMATS])}")
    return name


def format_of_folder(path: Path) -> str | None:
    """The format that a folder as such is in, by the files that are in it."""
    if published.recognises(path):
        return "published"
    return "open-clip" if open_clip.recognises(path) else None


def format_of_file(path: Path) -> str | None:
    """The format that a file is in, by its content; None for none, a table for what may be one."""
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if exported.recognises(path):
        return "export"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return _format_of_json(path)
    if not _TABLE.search(path.name):
        return None
    return "reference-study" if reference_study.recognises_header(header_of(path)) else "table"


def _format_of_json(path: Path) -> str | None:
    """Torn JSON is said to be in the format that it can only be, so that it is refused by that."""
    text = text_of(path)
    try:
        content = parse(text)
    except ValueError:
        try:
            content = parse(text.lstrip().partition("\n")[0])
        except ValueError:
            return "clip-benchmark" if '"metrics"' in text or path.suffix == ".json" else None
    return "clip-benchmark" if clip_benchmark.holds(content) else None


def maps(path: Path, columns: ColumnMap) -> bool:
    """Whether `columns`, or the header's own names, say what a table's columns are."""
    return not resolve(columns, header_of(path))[1]


def read(path: Path, name: str = AUTO, columns: ColumnMap | None = None) -> Imported:
    """What is at `path`, in the format called `name`, or the one that it is seen to be in.

    Raises `DataError` with everything that is wrong with it.
    """
    known_format(name)
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if name == AUTO:
        found = format_of_folder(path) if path.is_dir() else (format_of_file(path) or "table")
        if found is None:
            known = "; ".join(f"{name}: {format_.holds}" for name, format_ in FORMATS.items())
            raise DataError(f"{path} is in no format that can be imported ({known})")
        name = found
    return FORMATS[name].read(path, columns or ColumnMap())
