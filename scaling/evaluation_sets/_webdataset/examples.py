"""A set, opened: batches of its pictures, read while the network sees the one before."""

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._cores import in_threads
from scaling.datasets._webdataset.decoding import UNREADABLE, decode, framed
from scaling.errors import DataError
from scaling.evaluation_sets import Batch, Broken
from scaling.evaluation_sets._batches import in_turn, joined, rows_of
from scaling.evaluation_sets._webdataset.files import SetFiles
from scaling.evaluation_sets._webdataset.options import WebdatasetOptions
from scaling.evaluation_sets._webdataset.samples import ShardSamples, samples_of
from scaling.families._images import CLIP_FRAMING, Framing

_BATCH_SIZE = 128


class WebdatasetExamples:
    """See `scaling.evaluation_sets.Examples`."""

    def __init__(self, files: SetFiles, options: WebdatasetOptions, broken: Broken) -> None:
        """Nothing of the shards is read yet."""
        self.class_names = files.class_names
        self.templates = files.templates
        self._files = files
        self._options = options
        self._broken = broken
        self._undecodable: set[int] = set()

    @property
    def skipped(self) -> int:
        """See `Examples.skipped`."""
        return len(self._undecodable)

    @cached_property
    def identity(self) -> str:
        """See `Examples.identity`; of all but the pictures' pixels, for which lengths stand."""
        read = {
            "options": self._options.model_dump(mode="json", exclude={"folder", "split"}),
            "class_names": self.class_names,
            "templates": self.templates,
            "shards": [samples.digest for samples in self._shards],
        }
        return f"webdataset-{hashlib.sha256(json.dumps(read).encode()).hexdigest()[:16]}"

    def batches(self, image_size: int, framing: Framing = CLIP_FRAMING) -> Iterator[Batch]:
        """See `Examples.batches`."""
        count = self._starts[-1]
        yield from in_turn(
            lambda first: self._read(first, min(_BATCH_SIZE, count - first), image_size, framing),
            step=_BATCH_SIZE,
            until=count,
        )
        if self.skipped == count:
            raise DataError(f"{self._files.folder}: none of its {count:,} pictures decodes")

    @cached_property
    def _shards(self) -> tuple[ShardSamples, ...]:
        options = self._options
        columns = tuple(options.metadata.items())
        found = tuple(
            samples_of(shard, options.truth, len(self.class_names), columns)
            for shard in self._files.shards
        )
        if not any(len(samples) for samples in found):
            raise DataError(f"{self._files.folder}: there is no sample in its shards")
        return found

    @cached_property
    def _starts(self) -> list[int]:
        """The position of each shard's first sample, and of the end."""
        return [0, *accumulate(len(samples) for samples in self._shards)]

    def _read(self, first: int, count: int, image_size: int, framing: Framing) -> Batch:
        images = np.empty((count, image_size, image_size, 3), np.uint8)
        is_whole = np.ones(count, bool)

        def cut(row: int) -> None:
            picture = self._picture(first + row, image_size, framing)
            if picture is None:
                is_whole[row] = False
            else:
                images[row] = picture

        in_threads(cut, range(count))
        batch = self._truths(first, count)._replace(images=images)
        return batch if is_whole.all() else rows_of(batch, np.flatnonzero(is_whole))

    def _picture(
        self, position: int, image_size: int, framing: Framing
    ) -> NDArray[np.uint8] | None:
        samples, row = self._locate(position)
        encoded = samples.shard.read(samples.pictures[row])
        try:
            return framed(decode(encoded), image_size, framing)
        except UNREADABLE as error:
            if self._broken == "skip":
                self._undecodable.add(position)
                return None
            raise DataError(
                f"{samples.shard}: {samples.keys[row]}: the picture does not decode: {error} "
                "(`broken_images: skip` leaves such pictures out and counts them)"
            ) from error

    def _locate(self, position: int) -> tuple[ShardSamples, int]:
        part = int(np.searchsorted(self._starts, position, "right")) - 1
        return self._shards[part], position - self._starts[part]

    @cached_property
    def _all_truths(self) -> Batch:
        return joined([samples.truths for samples in self._shards if len(samples)])

    def _truths(self, first: int, count: int) -> Batch:
        return rows_of(self._all_truths, np.arange(first, first + count))
