"""`kind: webdataset`: local shards of pictures and captions, in the layout of img2dataset.

Files of a sample: a jpg, png or webp; a txt, or a json with captions; a json for filters and uids.
"""

import json
import logging
import threading
from typing import cast

import numpy as np
from numpy.typing import NDArray

from scaling.datasets import Options, Samples
from scaling.datasets._cores import in_threads
from scaling.datasets._mixing import Mixture
from scaling.datasets._webdataset.captions import choose_caption
from scaling.datasets._webdataset.decoding import UNREADABLE
from scaling.datasets._webdataset.options import WebdatasetOptions
from scaling.datasets._webdataset.pictures import cut
from scaling.datasets._webdataset.selection import Selection
from scaling.datasets._webdataset.shards import expand, find_shards
from scaling.datasets._webdataset.sources import OpenSource, Seen
from scaling.errors import DataError

logger = logging.getLogger(__name__)

_SKIPS_SAID = 16


class WebdatasetStream:
    """See `scaling.datasets.Stream`."""

    def __init__(self, options: WebdatasetOptions, seed: int) -> None:
        """The stream of a trial with this `seed`; raises `DataError` if a shard is missing."""
        self.options = options
        self.seed = seed
        sources = options.all_sources()
        seeds = [(seed,)] if len(sources) == 1 else [(seed, 1 + n) for n in range(len(sources))]
        self.sources = [
            OpenSource(source, resample=options.resample, seed=own_seed)
            for source, own_seed in zip(sources, seeds, strict=True)
        ]
        self.skipped = 0
        """Samples that could not be read so far; others took their places."""
        self._mixture = Mixture([source.weight for source in sources], seed)
        self._lock = threading.Lock()

    @property
    def unique_samples(self) -> int | None:
        """Of all sources, once every shard was looked at; before that, by the stated sizes."""
        sizes = [source.unique_samples for source in self.sources]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def read(self, first: int, count: int, image_size: int) -> Samples:
        """See `Stream.read`; rows are decoded in as many threads as this process has cores."""
        images = np.empty((count, image_size, image_size, 3), np.uint8)
        captions = [""] * count

        def read_row(row: int) -> None:
            images[row], captions[row] = self._sample(first + row, image_size)

        in_threads(read_row, range(count))
        self._reach(first + count)
        return Samples(images, captions)

    def _reach(self, positions: int) -> None:
        """Look at every shard seen by then: what is known of the set depends on that alone."""
        for source, count in zip(self.sources, self._mixture.counts(positions), strict=True):
            if count:
                source.locate(count - 1)

    def _sample(self, position: int, image_size: int) -> tuple[NDArray[np.uint8], str]:
        number, within = self._mixture.locate(position)
        source = self.sources[number]
        seen = source.locate(within)
        # A broken sample's place is taken by the next one of its shard that is whole, so that
        # sample n stays a function of n alone.
        for offset in range(len(seen.samples)):
            seen_now = seen._replace(row=(seen.row + offset) % len(seen.samples))
            try:
                caption = self._caption(source, seen_now, position)
                image = cut(
                    seen.shard,
                    seen.samples.image(seen_now.row),
                    image_size,
                    crop=self.options.crop,
                    draft=self.options.draft,
                    entropy=(self.seed, position),
                )
            except UNREADABLE as error:
                self._skip(seen_now, error)
            else:
                return image, caption
        raise DataError(f"{seen.shard}: not one of its {len(seen.samples):,} samples can be read")

    def _caption(self, source: OpenSource, seen: Seen, position: int) -> str:
        text = seen.shard.read(seen.samples.caption(seen.row)).decode()
        if source.captions is None:
            return text.strip()
        # Another sequence than the one that crops pictures: captions do not change crops.
        entropy = np.random.SeedSequence((self.seed, position, 1))
        generator = np.random.Generator(np.random.Philox(entropy))
        turn = seen.epoch + seen.row
        return choose_caption(json.loads(text), source.captions, turn, generator)

    def _skip(self, seen: Seen, error: Exception) -> None:
        with self._lock:
            self.skipped += 1
            skipped = self.skipped
        # All of the first few, then fewer and fewer: a set may have many.
        if skipped > _SKIPS_SAID and skipped & (skipped - 1):
            return
        logger.warning(
            "%s: sample %s is broken and skipped (%d so far): %s",
            seen.shard,
            seen.samples.key(seen.row),
            skipped,
            error,
        )


class WebdatasetDataset:
    """See `scaling.datasets.Dataset`."""

    options: type[Options] = WebdatasetOptions

    def check(self, options: Options) -> None:
        """See `Dataset.check`."""
        for source in cast("WebdatasetOptions", options).all_sources():
            find_shards(expand(source.shards))
            Selection.of(source)

    def open(self, options: Options, seed: int) -> WebdatasetStream:
        """See `Dataset.open`."""
        return WebdatasetStream(cast("WebdatasetOptions", options), seed)


DATASET = WebdatasetDataset()
