"""Which samples a shard holds, and where: what makes any sample readable at any time.

Files of a tar belong together if their names are equal up to the first dot of the last path
component (webdataset's rule). Exact resume needs any sample at any time, which the webdataset
library's streams cannot give; an index of positions can. An index is built when its shard is first
needed, and kept on disk (see `scaling.datasets._webdataset.index_cache`).
"""

import json
import logging
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._webdataset import index_cache
from scaling.datasets._webdataset.index_cache import ShardIndex
from scaling.datasets._webdataset.selection import Chosen, Fields, Group, Selection
from scaling.datasets._webdataset.shards import Extent, Shard
from scaling.datasets._webdataset.tar import DamagedTarError, members
from scaling.errors import DataError

logger = logging.getLogger(__name__)

_IN_MEMORY = 512
"""Indexes held; of ten thousand samples each, which are about half a megabyte."""


@lru_cache(maxsize=_IN_MEMORY)
def index_shard(shard: Shard, selection: Selection) -> ShardIndex:
    """The samples of a shard that are trained on, in its order.

    A shard that is damaged or ends early gives the samples before the damage, and a warning that
    says where it is. Raises `DataError` if nothing of it can be read.
    """
    index = index_cache.load(shard, selection)
    if index is None:
        index = _build(shard, selection)
        index_cache.save(shard, selection, index)
    if index.damage:
        logger.warning("%s: %s; only the samples before are read", shard, index.damage)
    if lacking := index.left_out.get("lack an image or a caption", 0):
        logger.warning(
            "%s: %d of %d samples lack an image or a caption and are left out",
            shard,
            lacking,
            index.found,
        )
    return index


def _build(shard: Shard, selection: Selection) -> ShardIndex:
    tar = Tar(shard)
    try:
        chosen, left_out = selection.choose(tar.groups(with_json=selection.reads_json))
    except OSError as error:
        raise DataError(f"{shard}: cannot be read: {error}") from error
    except ValueError as error:
        raise DataError(f"{shard}: {error}") from error
    if tar.damage is not None and tar.damage.offset == 0:
        raise DataError(f"{shard}: cannot be read as an uncompressed tar file: {tar.damage}")
    return ShardIndex(
        keys=np.array([sample.key.encode("utf-8", "surrogateescape") for sample in chosen], "S"),
        images=_extents(chosen, "image"),
        captions=_extents(chosen, "caption"),
        found=tar.found,
        left_out=dict(left_out),
        fields=tar.fields,
        damage=str(tar.damage or ""),
    )


def _extents(chosen: list[Chosen], of: str) -> NDArray[np.int64]:
    return np.array([getattr(sample, of) for sample in chosen], np.int64).reshape(-1, 2)


class Tar:
    """A walk through a shard, and what was met on the way."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.found = 0
        """Samples, complete or not."""
        self.fields: tuple[str, ...] = ()
        """Fields of the first json."""
        self.damage: DamagedTarError | None = None

    def groups(self, *, with_json: bool) -> Iterator[Group]:
        """Every sample's files."""
        for key, files in self._grouped():
            self.found += 1
            fields = _json(self.shard, files["json"]) if with_json and "json" in files else None
            self.fields = self.fields or tuple(fields or ())
            yield Group(key, files, fields)

    def _grouped(self) -> Iterator[tuple[str, dict[str, Extent]]]:
        current: str | None = None
        files: dict[str, Extent] = {}
        for key, suffix, extent in self._files():
            # LAION-400M has neighbours of the same name: a suffix met again begins another sample.
            if key != current or suffix in files:
                if current is not None:
                    yield current, files
                current, files = key, {}
            files[suffix] = extent
        if current is not None:
            yield current, files

    def _files(self) -> Iterator[tuple[str, str, Extent]]:
        with self.shard.path.open("rb") as file:
            try:
                for member in members(file, self.shard.size):
                    folder, slash, name = member.name.rpartition("/")
                    stem, dot, suffix = name.partition(".")
                    if stem and dot:
                        extent = Extent(member.offset, member.bytes)
                        yield f"{folder}{slash}{stem}", suffix.lower(), extent
            except DamagedTarError as error:
                self.damage = error


def _json(shard: Shard, extent: Extent) -> Fields | None:
    try:
        fields = json.loads(shard.read(extent))
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None
