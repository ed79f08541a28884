"""A table of associations and its pictures, found and read."""

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._webdataset.decoding import UNREADABLE, decode, framed
from scaling.errors import DataError
from scaling.evaluation_sets import Association, Batch, Broken
from scaling.evaluation_sets._folders import set_folder
from scaling.evaluation_sets.associations import AssociationOptions
from scaling.families._images import CLIP_FRAMING, Framing

_BATCH_SIZE = 64
_COLUMNS = ("candidates", "cue", "associations")


class AssociationExamples:
    """See `scaling.evaluation_sets.AssociatedExamples`; each picture is there once."""

    class_names: Sequence[str] = ()
    templates: Sequence[str] = ()

    def __init__(self, options: AssociationOptions, root: Path | None, broken: Broken) -> None:
        """Read the table and find all pictures; raises `DataError` where one is missing."""
        folder = set_folder(options.folder, root)
        self._table = folder / options.table
        self._broken = broken
        self._undecodable: set[int] = set()
        rows = _rows(self._table)
        names = list(dict.fromkeys(name for candidates, _, _ in rows for name in candidates))
        self._paths = _pictures(names, folder / options.images, options.image_suffix)
        number = {name: position for position, name in enumerate(names)}
        self.associations: Sequence[Association] = tuple(
            Association(
                cue,
                tuple(number[name] for name in candidates),
                tuple(name in chosen for name in candidates),
            )
            for candidates, cue, chosen in rows
        )

    @property
    def skipped(self) -> int:
        """See `Examples.skipped`."""
        return len(self._undecodable)

    @cached_property
    def identity(self) -> str:
        """See `Examples.identity`; lengths of files stand for what pictures show."""
        digest = hashlib.sha256(repr(self.associations).encode())
        for path in self._paths:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        return f"associations-{digest.hexdigest()[:16]}"

    def batches(self, image_size: int, framing: Framing = CLIP_FRAMING) -> Iterator[Batch]:
        """See `Examples.batches`."""
        for first in range(0, len(self._paths), _BATCH_SIZE):
            numbers = range(first, min(first + _BATCH_SIZE, len(self._paths)))
            found = {
                number: picture
                for number in numbers
                if (picture := self._picture(number, image_size, framing)) is not None
            }
            if found:
                yield Batch(
                    np.stack(list(found.values())), metadata={"picture": np.array(list(found))}
                )
        if self.skipped == len(self._paths):
            raise DataError(f"{self._table}: none of its {self.skipped:,} pictures decodes")

    def _picture(self, number: int, image_size: int, framing: Framing) -> NDArray[np.uint8] | None:
        path = self._paths[number]
        try:
            return framed(decode(path.read_bytes()), image_size, framing)
        except UNREADABLE as error:
            if self._broken == "skip":
                self._undecodable.add(number)
                return None
            raise DataError(
                f"{path}: the picture does not decode: {error} "
                "(`broken_images: skip` leaves such pictures out and counts them)"
            ) from error


def _rows(path: Path) -> list[tuple[list[str], str, list[str]]]:
    """Candidates, cue and associations of each row."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if missing := sorted({*_COLUMNS} - {*(reader.fieldnames or ())}):
                raise DataError(f"{path}: has no column {', '.join(missing)}")
            found = [_row(row, f"{path}: row {n}") for n, row in enumerate(reader, start=1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not found:
        raise DataError(f"{path}: has no row")
    return found


def _row(row: dict[str, str], where: str) -> tuple[list[str], str, list[str]]:
    candidates, chosen = (_names(row[name], f"{where}: {name}") for name in _COLUMNS[::2])
    if not row["cue"]:
        raise DataError(f"{where}: has no cue")
    if not set(chosen) & set(candidates):
        raise DataError(f"{where}: none of its associations is among its candidates")
    return candidates, row["cue"], chosen


def _names(text: str, where: str) -> list[str]:
    try:
        names = json.loads(text)
    except (TypeError, json.JSONDecodeError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f'{where}: {text!r} is not a list of names such as ["eagle", "ash"]')
    return names


def _pictures(names: Sequence[str], folder: Path, suffix: str) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}, which has the pictures")
    there = {path.name for path in folder.iterdir()}
    if missing := [name for name in names if f"{name}{suffix}" not in there]:
        more = f", and of {len(missing) - 1:,} others" if len(missing) > 1 else ""
        raise DataError(f"{folder}: the picture of {missing[0]!r}{suffix} is missing{more}")
    return tuple(folder / f"{name}{suffix}" for name in names)
