"""One source of a mixture: its shards, and which of its samples is seen when."""

import logging
from typing import NamedTuple

from scaling.datasets._order import Draws, Passes
from scaling.datasets._webdataset.index import index_shard
from scaling.datasets._webdataset.index_cache import ShardIndex
from scaling.datasets._webdataset.options import JsonCaptions, Source
from scaling.datasets._webdataset.selection import Selection
from scaling.datasets._webdataset.shards import Shard, expand, find_shards
from scaling.errors import DataError, unknown

logger = logging.getLogger(__name__)


class Seen(NamedTuple):
    """What a position of a source shows."""

    shard: Shard
    samples: ShardIndex
    row: int
    epoch: int


class OpenSource:
    """A source whose shards are here."""

    def __init__(self, source: Source, *, resample: bool, seed: tuple[int, ...]) -> None:
        """Raises `DataError` if a shard or a list of uids is missing."""
        self.shards = find_shards(expand(source.shards))
        self._selection = Selection.of(source)
        self._stated_size = source.size
        self._sizes: dict[int, int] = {}
        self._unique = 0
        order = Draws if resample else Passes
        self._order = order(len(self.shards), self._size_of, seed)

    @property
    def captions(self) -> JsonCaptions | None:
        """Where captions come from; None is each sample's txt."""
        return self._selection.captions

    @property
    def unique_samples(self) -> int | None:
        """Different samples, once every shard was looked at; before that, the stated size."""
        return self._unique if len(self._sizes) == len(self.shards) else self._stated_size

    def locate(self, position: int) -> Seen:
        """What is seen at `position` of this source."""
        part, row, epoch = self._order.locate(position)
        shard = self.shards[part]
        return Seen(shard, index_shard(shard, self._selection), row, epoch)

    def _size_of(self, part: int) -> int:
        if part not in self._sizes:
            index = index_shard(self.shards[part], self._selection)
            self._sizes[part] = len(index)
            self._unique += index.unique_samples
            if len(self._sizes) == len(self.shards):
                self._compare_with_stated_size()
        if self._unique == 0 and len(self._sizes) == len(self.shards):
            raise DataError(self._why_empty())
        return self._sizes[part]

    def _compare_with_stated_size(self) -> None:
        if self._stated_size not in (None, self._unique):
            logger.warning(
                "size: stated as %s, but the shards hold %s samples",
                self._stated_size,
                self._unique,
            )

    def _why_empty(self) -> str:
        indexes = [index_shard(shard, self._selection) for shard in self.shards]
        found = sum(index.found for index in indexes)
        reasons: dict[str, int] = {}
        for index in indexes:
            for reason, count in index.left_out.items():
                reasons[reason] = reasons.get(reason, 0) + count
        lines = [f"{count:,} {reason}" for reason, count in reasons.items() if count]
        fields = {field for index in indexes for field in index.fields}
        lines += [
            unknown("field", condition.field, fields)
            for condition in self._selection.filters
            if fields and condition.field not in fields
        ]
        return "\n  ".join(
            [
                f"{self.shards[0]}: no sample is left of {found:,} in {len(self.shards):,} shards",
                *lines,
            ]
        )
