"""`kind: shapes`: an embedded procedural image-text stream, endless and free of downloads.

Pictures show one or two coloured shapes on a background; captions name some of what is there.
Sample n is a function of (options, seed, n) and does not depend on how the stream is read.
"""

from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scaling.datasets import Options, Samples
from scaling.datasets._order import Passes
from scaling.datasets._shapes.captions import write_captions
from scaling.datasets._shapes.pictures import render
from scaling.datasets._shapes.scenes import BLOCK, Key, Scenes, Stage, draw_scenes


class ShapesOptions(Options):
    """What defines a stream of shapes."""

    caption_noise: float = Field(default=0.0, ge=0.0, le=1.0)
    """0: captions are true. At 1, 45 % of what they mention is replaced at random."""
    unique: int | None = Field(default=None, gt=0)
    """Distinct samples before they repeat, in another order; without it none ever does."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Another seed is another set from the same distribution."""


class ShapesStream:
    """See `scaling.datasets.Stream`."""

    def __init__(self, options: ShapesOptions, seed: int) -> None:
        """The stream of a trial with this `seed`."""
        self.options = options
        self.seed = seed
        # A finite set is the same for every trial, which sees it in an order of its own; an
        # endless one is drawn anew for every trial.
        self.key = Key(options.seed << 31 | (0 if options.unique else seed))
        sizes = _block_sizes(options.unique or 0)
        self._passes = Passes(len(sizes), sizes.__getitem__, seed)
        self.unique_samples = options.unique
        self.skipped = 0

    def read(self, first: int, count: int, image_size: int) -> Samples:
        """See `Stream.read`."""
        if self.options.unique is None:
            return self._slice(first, count, image_size)
        found = [self._passes.locate(position) for position in range(first, first + count)]
        singles = [self._slice(block * BLOCK + row, 1, image_size) for block, row, _ in found]
        return Samples(
            np.concatenate([single.images for single in singles]),
            [single.captions[0] for single in singles],
        )

    def _slice(self, first: int, count: int, image_size: int) -> Samples:
        images = []
        captions: list[str] = []
        chunk = _pixel_chunk(image_size)
        position, end = first, first + count
        while position < end:
            stop = min(end, (position // chunk + 1) * chunk)
            index, start = divmod(position, chunk)
            images.append(_images(self.key, index, image_size)[start : start + stop - position])
            block, row = divmod(position, BLOCK)
            texts = _captions(self.key, block, self.options.caption_noise)
            captions.extend(texts[row : row + stop - position])
            position = stop
        return Samples(np.concatenate(images), captions)


class ShapesDataset:
    """See `scaling.datasets.Dataset`."""

    options: type[Options] = ShapesOptions

    def check(self, options: Options) -> None:
        """Nothing can be missing."""

    def open(self, options: Options, seed: int) -> ShapesStream:
        """See `Dataset.open`."""
        return ShapesStream(cast("ShapesOptions", options), seed)


DATASET = ShapesDataset()

# Trials of one process train on the same stream one after another: keep what was generated. At
# 16 pixels, 96 blocks are 98,304 samples in 75 MB; larger pictures come in smaller chunks.


@lru_cache(maxsize=96)
def _scenes(key: Key, block: int) -> Scenes:
    return draw_scenes(key.generator(Stage.SCENES, block), BLOCK)


@lru_cache(maxsize=96)
def _captions(key: Key, block: int, noise: float) -> list[str]:
    return write_captions(_scenes(key, block), key.generator(Stage.CAPTIONS, block), noise)


@lru_cache(maxsize=96)
def _images(key: Key, chunk_index: int, image_size: int) -> NDArray[np.uint8]:
    chunk = _pixel_chunk(image_size)
    block, row = divmod(chunk_index * chunk, BLOCK)
    scenes = _scenes(key, block).rows(slice(row, row + chunk))
    images = render(scenes, image_size, key.generator(image_size, chunk_index))
    images.flags.writeable = False
    return images


def _pixel_chunk(image_size: int) -> int:
    """Pictures rendered together: a block at 16 pixels, a fraction (a power of 2) at more."""
    chunk = BLOCK
    while chunk > 1 and chunk * image_size**2 > BLOCK * 16**2:
        chunk //= 2
    return chunk


def _block_sizes(unique: int) -> tuple[int, ...]:
    whole, rest = divmod(unique, BLOCK)
    return (BLOCK,) * whole + ((rest,) if rest else ())
