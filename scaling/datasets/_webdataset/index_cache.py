"""Indexes of shards on disk, so that a second process need not walk through the shards again.

They lie in `$SCALING_CACHE/indexes`, by default `~/.cache/scaling/indexes` (`$XDG_CACHE_HOME` is
followed): nothing is written beside the data. One file for each pair of shard path and selection,
replaced as a whole, so that any number of processes may read and write; one of another size or
time of change, or one that is torn, is built again. Where nothing can be written, as with a
read-only home, indexes live in memory alone.
"""

import hashlib
import json
import logging
import os
import tempfile
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._webdataset.selection import Selection
from scaling.datasets._webdataset.shards import Extent, Shard

logger = logging.getLogger(__name__)

_FORMAT = 1
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class ShardIndex:
    """Samples of a shard that are trained on. Shapes: N samples, listed twice counted twice."""

    keys: NDArray[np.bytes_]
    """(N,) names."""
    images: NDArray[np.int64]
    """(N, 2) offset and bytes."""
    captions: NDArray[np.int64]
    """(N, 2) offset and bytes of a text, or of a json with captions in it."""
    found: int
    """Samples in the shard, those left out as well."""
    left_out: dict[str, int]
    """How many samples are left out, by what is wrong with them."""
    fields: tuple[str, ...]
    """Fields of the first json, if any was read."""
    damage: str
    """Where the shard is damaged, if it is."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def unique_samples(self) -> int:
        """Samples, one listed twice counted once."""
        return len(np.unique(self.images[:, 0]))

    def key(self, row: int) -> str:
        """The name of a sample."""
        return bytes(self.keys[row]).decode("utf-8", "surrogateescape")

    def image(self, row: int) -> Extent:
        """Where a sample's picture lies."""
        return Extent(*self.images[row].tolist())

    def caption(self, row: int) -> Extent:
        """Where a sample's text or json lies."""
        return Extent(*self.captions[row].tolist())


def load(shard: Shard, selection: Selection) -> ShardIndex | None:
    """The index of this shard as it is now, if one is on disk."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        with (
            _path(folder, shard, selection).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            about = json.loads(str(arrays["about"]))
            if about.pop("shard") != [shard.size, shard.modified]:
                return None
            about["fields"] = tuple(about["fields"])
            return ShardIndex(
                keys=arrays["keys"], images=arrays["images"], captions=arrays["captions"], **about
            )
    except _UNREADABLE:
        return None


def save(shard: Shard, selection: Selection, index: ShardIndex) -> None:
    """Put an index on disk, if there is room for it."""
    folder = cache_folder()
    if folder is None:
        return
    path = _path(folder, shard, selection)
    about = {
        "shard": [shard.size, shard.modified],
        "found": index.found,
        "left_out": index.left_out,
        "fields": index.fields,
        "damage": index.damage,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(
            path,
            keys=index.keys,
            images=index.images,
            captions=index.captions,
            about=np.array(json.dumps(about)),
        )
    except OSError as error:
        _say_once(f"indexes of shards are not kept in {folder}: {error}")


def _replace(path: Path, **arrays: NDArray[Any]) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def cache_folder() -> Path | None:
    """Where indexes are kept; None without a home."""
    try:
        if named := os.environ.get("SCALING_CACHE"):
            return Path(named).expanduser() / "indexes"
        return (
            Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "scaling/indexes"
        )
    except RuntimeError:
        return None


def _path(folder: Path, shard: Shard, selection: Selection) -> Path:
    identity = f"{_FORMAT}\0{os.path.abspath(shard.path)}\0{selection.digest}"
    name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return folder / name[:2] / f"{name[2:]}.npz"


@cache
def _say_once(sentence: str) -> None:
    logger.warning(sentence)
