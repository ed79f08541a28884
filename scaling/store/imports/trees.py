"""A file or a folder of files of several formats: each imported by itself, none left unsaid."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import DataError, ScalingError
from scaling.store.imports import open_clip
from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.formats import (
    AUTO,
    FORMATS,
    format_of_file,
    format_of_folder,
    known_format,
    maps,
    read,
)
from scaling.store.imports.recording import ImportSummary, record
from scaling.store.store import Store

_PUBLISHED = ("measurements.csv", "model_profile.csv")


@dataclass(frozen=True)
class Found:
    """A file, or a folder that is read as a whole, and its format."""

    path: Path
    format: str | None
    """None where it is in none."""
    refusal: str = ""
    """Why it cannot even be looked at."""


@dataclass(frozen=True, kw_only=True)
class TreeSummary:
    """What became of each file of a folder; it prints as a few sentences."""

    study: str
    imported: dict[str, ImportSummary]
    """By path."""
    refused: dict[str, str]
    """Why, by path."""
    unknown: tuple[str, ...]
    """Files in no format that can be imported."""
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For other programs."""
        from dataclasses import asdict

        totals = {name: self._sum(name) for name in ("imported", "already_there")}
        return {"study": self.study, "dry_run": self.dry_run, **totals} | {
            "files": {path: asdict(one) for path, one in self.imported.items()},
            "refused": self.refused,
            "unknown": list(self.unknown),
        }

    def __str__(self) -> str:
        """For people."""
        would = "would be imported" if self.dry_run else "imported"
        parts = [
            f"study {self.study}: {self._sum('imported'):,} measurements {would} from "
            f"{len(self.imported):,} files, {self._sum('already_there'):,} were there already"
        ]
        costs = dict.fromkeys(one.compute for one in self.imported.values())
        parts += [f"compute: {cost}" for cost in costs]
        without = sum(one.without_gflops for one in self.imported.values())
        if without:
            parts.append(f"{without:,} have no GFLOPs and stay out of fits over compute")
        notes = Counter(note for one in self.imported.values() for note in one.notes)
        parts += [f"{note} ({n:,} files)" if n > 1 else note for note, n in notes.items()]
        if self.unknown:
            shown = [*self.unknown[:10], *(["..."] if len(self.unknown) > 10 else [])]
            parts.append(f"{len(self.unknown):,} files in no known format: {', '.join(shown)}")
        text = "\n  ".join(parts)
        if self.refused:
            reasons = "\n".join(self.refused.values())
            text += (
                f"\nrefused {len(self.refused):,} files, of which nothing was written:\n{reasons}"
            )
        return text

    def _sum(self, name: str) -> int:
        return sum(getattr(one, name) for one in self.imported.values())


def find(root: Path, name: str, columns: ColumnMap) -> list[Found]:
    """Everything under the folder `root`, in the order of paths.

    With the `name` of a format, files that are in another are in none.
    """
    known_format(name)
    found = list(_walk(root, columns))
    if name == AUTO:
        return found
    return [one if one.format in (None, name) else Found(one.path, None) for one in found]


def import_tree(
    store: Store,
    root: Path,
    columns: ColumnMap,
    *,
    name: str = AUTO,
    study: str | None = None,
    dry_run: bool = False,
) -> TreeSummary:
    """Import every file under the folder `root` into one study, each in a transaction of its own.

    What an export holds keeps the names of its studies, unless `study` is given.

    A file that is refused stops no other. Raises `DataError` if nothing is in a known format.
    """
    found = find(root, name, columns)
    if not any(one.format or one.refusal for one in found):
        known = "; ".join(f"{name}: {format_.holds}" for name, format_ in FORMATS.items())
        raise DataError(f"{root} holds nothing in a format that can be imported ({known})")
    asked, study = study, study or root.resolve().name
    imported: dict[str, ImportSummary] = {}
    refused = {str(one.path): one.refusal for one in found if one.refusal}
    for one in found:
        if one.format is None:
            continue
        try:
            content = read(one.path, one.format, _for(one.format, columns))
            name_of_study = asked if one.format == "export" else study
            imported[str(one.path)] = record(store, content, name_of_study, dry_run=dry_run)
        except ScalingError as error:
            refused[str(one.path)] = str(error)
    return TreeSummary(
        study=study,
        imported=imported,
        refused=refused,
        unknown=tuple(
            str(one.path.relative_to(root))
            for one in found
            if one.format is None and not one.refusal
        ),
        dry_run=dry_run,
    )


def _for(format_: str, columns: ColumnMap) -> ColumnMap:
    """What of the mapping is for a format; in a folder of several, each takes its own."""
    if format_ == "table":
        return columns
    if format_ in ("published", "export"):
        return ColumnMap()
    if format_ == "reference-study":
        return ColumnMap(percent=columns.percent)
    return ColumnMap(constants=columns.constants, patterns=columns.patterns)


def _walk(root: Path, columns: ColumnMap) -> Iterator[Found]:
    taken: set[Path] = set()
    for where, folders, names in os.walk(root):
        folders.sort()
        here = Path(where)
        found = format_of_folder(here)
        if found:
            yield Found(here, found)
            taken |= (
                open_clip.files_of(here)
                if found == "open-clip"
                else {here / name for name in _PUBLISHED}
            )
        for name in sorted(names):
            path = here / name
            if path in taken or not path.is_file():
                continue
            try:
                kind = format_of_file(path)
                if kind == "table" and not maps(path, columns):
                    kind = None
            except DataError as error:
                yield Found(path, None, str(error))
            else:
                yield Found(path, kind)
