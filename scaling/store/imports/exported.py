"""What `scaling export` wrote, brought back: the same cells, numbers and compute.

Trials of the other store's own become imported ones, under ids of their own, so that a grid of
this store that asks for the same training still trains it.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scaling.errors import DataError
from scaling.exports.files import MARK
from scaling.store.imports.csv_files import (
    data_error,
    positive,
    positive_count,
    shown,
    words,
)
from scaling.store.imports.fields import seed
from scaling.store.imports.files import PARQUET, RawTable, read_texts
from scaling.store.imports.records import Exported, Imported, Measured, once
from scaling.store.planning import GRID, IMPORTED_GRID
from scaling.trial import digest

Parse = Callable[[str], Any]
_PEEKED = 1_000
"""Bytes in which a file says what it is."""
_LONGEST = 100_000
"""Characters of an identity."""


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("is not a number")
    return value


def _count(text: str) -> int:
    """A whole number of 0 or more; tools that know no missing integers write 12.0."""
    return seed(text)


def _identity(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("is not an object in JSON")
    return found


_REQUIRED: Mapping[str, Parse] = {
    "study": words,
    "family": words,
    "model": words,
    "dataset": words,
    "schedule": words,
    "samples_seen": positive_count,
    "seed": seed,
    "trial": words,
    "task": words,
    "metric": words,
    "value": _number,
    "kind": words,
    "identity": _identity,
    "study_source": words,
}
_OPTIONAL: Mapping[str, Parse] = {
    "epochs": _number,
    "evaluation_set": words,
    "skipped_images": _count,
    "params": _count,
    "gflops_per_sample_published": positive,
    "gflops_per_sample_lean": positive,
    "gflops_per_sample_full": positive,
    "batch_size": _count,
    "learning_rate": _number,
    "held_out_above_gflops": _number,
    "reference": words,
}
"""Columns in which a cell may be empty."""


def recognises(path: Path) -> bool:
    """Whether the file at `path` has the columns of an export, or says that it is one."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_PEEKED)
    except OSError:
        return False
    if start.startswith(PARQUET):
        return _is_export_parquet(path)
    if start.startswith(b"{"):
        return MARK.encode() in start
    header = start.decode("utf-8-sig", errors="replace").partition("\n")[0].strip()
    names = {name.strip('"') for name in header.split(",")}  # R's write.csv quotes them.
    return set(_REQUIRED) | set(_OPTIONAL) <= names


def read_export(path: Path) -> Imported:
    """The measurements of an export; raises `DataError` with everything that is wrong with it."""
    raw = _read_json(path) if path.suffix.lower() == ".json" else read_texts(path)
    columns = {**_REQUIRED, **_OPTIONAL}
    problems = [f"the column {name!r} is missing" for name in columns if name not in raw.header]
    problems += [f"the column {n!r} is there twice" for n in columns if raw.header.count(n) > 1]
    if problems:
        raise data_error(path, problems)
    problems = [*raw.problems]
    places = {name: raw.header.index(name) for name in columns}
    by_study: defaultdict[str, list[Measured]] = defaultdict(list)
    for place, cells in raw.rows:
        fields, wrong = _parse(place, {name: cells[at] for name, at in places.items()})
        problems += wrong
        if not wrong:
            by_study[fields["study"]].append(_measured(place, fields))
    measurements: list[Measured] = []
    for rows in by_study.values():
        kept, contradictions = once(rows)
        measurements += kept
        problems += contradictions + _about_study(rows)
    if not problems and not measurements:
        problems = ["there is no measurement in it"]
    if problems:
        raise data_error(path, problems)
    return Imported(
        path=path,
        measurements_file=path,
        study=measurements[0].exported.study if measurements[0].exported else path.stem,
        measurements=measurements,
        compute="as it was in the store that was exported",
    )


def _parse(place: str, cells: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems = []
    for name, text in cells.items():
        if not text and name in _OPTIONAL:
            values[name] = None
            continue
        try:
            if not text:
                raise ValueError("is empty")
            values[name] = (_REQUIRED.get(name) or _OPTIONAL[name])(text)
        except ValueError as error:
            problems.append(f"{place}, {name}: {shown(text)} {error}")
    return values, problems


def _measured(place: str, fields: Mapping[str, Any]) -> Measured:
    identity, trial_id = fields["identity"], fields["trial"]
    if fields["kind"] != "imported":
        identity = {"kind": "imported", "trial": trial_id, "identity": identity}
        trial_id = f"{trial_id}-{digest(identity)}"
    shared = (
        "family",
        "model",
        "dataset",
        "schedule",
        "samples_seen",
        "task",
        "metric",
        "value",
        "params",
        "seed",
        "trial",
    )
    kept = (
        "study",
        "held_out_above_gflops",
        "gflops_per_sample_lean",
        "gflops_per_sample_full",
        "batch_size",
        "learning_rate",
        "epochs",
        "evaluation_set",
        "skipped_images",
    )
    return Measured(
        place=place,
        source=fields["reference"] or "",
        gflops_per_sample=fields["gflops_per_sample_published"],
        exported=Exported(
            trial_id=trial_id,
            identity=identity,
            is_grid=fields["study_source"] in (GRID, IMPORTED_GRID),
            **{name: fields[name] for name in kept},
        ),
        **{name: fields[name] for name in shared},
    )


def _about_study(rows: list[Measured]) -> list[str]:
    """Where rows of one study disagree about it."""
    found: dict[tuple[bool, float | None], Measured] = {}
    for row in rows:
        if row.exported:
            found.setdefault((row.exported.is_grid, row.exported.held_out_above_gflops), row)
    first, *others = found.values()
    return [
        f"{row.place}, study_source or held_out_above_gflops: {first.place} says otherwise of the "
        "same study"
        for row in others
    ]


def _is_export_parquet(path: Path) -> bool:
    from pyarrow import ArrowException, parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
    except (ArrowException, OSError, ValueError):
        return False
    return MARK.encode() in metadata.get(b"scaling", b"")


def _read_json(path: Path) -> RawTable:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {error}") from error
    rows = content.get("data") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: has no list of rows under 'data', as an export has")
    header = list(dict.fromkeys(name for row in rows for name in row))
    return RawTable(
        header,
        [
            (f"row {n}", ["" if row.get(k) is None else str(row[k]) for k in header])
            for n, row in enumerate(rows, start=1)
        ],
    )
