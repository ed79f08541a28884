"""Groups of pictures and texts, read from the files of Winoground or SugarCrepe."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._cores import in_threads
from scaling.datasets._webdataset.decoding import UNREADABLE, decode, framed
from scaling.datasets._webdataset.selection import IMAGES
from scaling.errors import DataError
from scaling.evaluation_sets import Batch, Broken
from scaling.evaluation_sets._batches import in_turn
from scaling.evaluation_sets._folders import set_folder
from scaling.evaluation_sets.image_caption_groups import CaptionGroupOptions
from scaling.families._images import CLIP_FRAMING, Framing

_GROUPS_AT_ONCE = 64

_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ".jsonl": (("image_0", "image_1"), ("caption_0", "caption_1")),
    ".json": (("filename",), ("caption", "negative_caption")),
}
"""Of names of pictures, and of texts, by what annotations end in."""


class Group(NamedTuple):
    """Pictures, and the texts to choose from: the first goes with the first picture."""

    pictures: tuple[Path, ...]
    texts: tuple[str, ...]


class CaptionGroups:
    """See `scaling.evaluation_sets.Examples`."""

    class_names: Sequence[str] = ()
    templates: Sequence[str] = ()

    def __init__(self, options: CaptionGroupOptions, root: Path | None, broken: Broken) -> None:
        """Read the annotations; raises `DataError` if they, or pictures that they name, are not
        there.
        """
        folder = set_folder(options.folder, root)
        self._annotations = folder / options.annotations
        self._groups = tuple(_groups(self._annotations, folder / options.pictures))
        if not self._groups:
            raise DataError(f"{self._annotations}: there is no group in it")
        self._broken = broken
        self._undecodable: set[int] = set()

    @property
    def skipped(self) -> int:
        """See `Examples.skipped`: the pictures of groups of which one does not decode."""
        return sum(len(self._groups[number].pictures) for number in self._undecodable)

    @cached_property
    def identity(self) -> str:
        """See `Examples.identity`; lengths of files stand for what is in them."""
        read = [
            [[(path.name, path.stat().st_size) for path in group.pictures], group.texts]
            for group in self._groups
        ]
        digest = hashlib.sha256(json.dumps(read).encode())
        return f"image-caption-groups-{digest.hexdigest()[:16]}"

    def batches(self, image_size: int, framing: Framing = CLIP_FRAMING) -> Iterator[Batch]:
        """See `Examples.batches`."""
        count = len(self._groups)
        yield from in_turn(
            lambda first: self._read(first, image_size, framing), step=_GROUPS_AT_ONCE, until=count
        )
        if len(self._undecodable) == count:
            raise DataError(f"{self._annotations}: of no group do all pictures decode")

    def _read(self, first: int, image_size: int, framing: Framing) -> Batch:
        numbers = range(first, min(first + _GROUPS_AT_ONCE, len(self._groups)))
        places = [(number, path) for number in numbers for path in self._groups[number].pictures]
        images = np.empty((len(places), image_size, image_size, 3), np.uint8)

        def cut(row: int) -> None:
            number, path = places[row]
            picture = self._picture(number, path, image_size, framing)
            if picture is not None:
                images[row] = picture

        in_threads(cut, range(len(places)))
        rows = [row for row, (number, _) in enumerate(places) if number not in self._undecodable]
        owners = [places[row][0] for row in rows]
        return Batch(
            images[rows],
            captions=tuple(self._groups[number].texts for number in owners),
            groups=np.array(owners, np.int64),
        )

    def _picture(
        self, number: int, path: Path, image_size: int, framing: Framing
    ) -> NDArray[np.uint8] | None:
        try:
            return framed(decode(path.read_bytes()), image_size, framing)
        except UNREADABLE as error:
            if self._broken == "skip":
                self._undecodable.add(number)
                return None
            raise DataError(
                f"{path}: the picture does not decode: {error} (`broken_images: skip` leaves out "
                "the groups of such pictures and counts their pictures)"
            ) from error


def _groups(annotations: Path, pictures: Path) -> Iterator[Group]:
    """The groups of either file; raises `DataError`."""
    if not pictures.is_dir():
        raise DataError(f"{annotations}: there is no folder {pictures} of its pictures")
    known = _Known(pictures)
    names, texts = _KEYS[annotations.suffix]
    for where, fields in _entries(annotations):
        yield Group(
            tuple(known.path(_text(fields, key, where), where) for key in names),
            tuple(_text(fields, key, where) for key in texts),
        )


def _entries(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each object of a file, and where it stands."""
    try:
        text = path.read_text(encoding="utf-8")
        found: list[tuple[str, Any]]
        if path.suffix == ".jsonl":
            lines = enumerate(text.splitlines(), start=1)
            found = [(f"{path}: line {n}", json.loads(line)) for n, line in lines if line.strip()]
        else:
            # SugarCrepe's keys are numbers with gaps; their order is that of the file.
            whole = json.loads(text)
            if not isinstance(whole, dict):
                raise DataError(f'{path}: is no object of groups, {{"0": {{...}}, ...}}')
            found = [(f"{path}: {key}", its) for key, its in whole.items()]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file of annotations") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for where, fields in found:
        if not isinstance(fields, dict):
            raise DataError(f'{where}: is no object, {{"caption": ..., ...}}')
        yield where, fields


def _text(fields: Mapping[str, Any], key: str, where: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        has = ", ".join(fields) or "nothing"
        raise DataError(f"{where}: has no {key} that is a text (it has {has})")
    return value


class _Known:
    """The files of a folder of pictures, listed once: COCO's are many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = {path.name for path in folder.iterdir()}

    def path(self, name: str, where: str) -> Path:
        """A picture by its name, with or without its suffix."""
        for candidate in (name, *(f"{name}.{suffix}" for suffix in IMAGES)):
            if candidate in self._names:
                return self._folder / candidate
        raise DataError(f"{where}: there is no picture {name} in {self._folder}")
