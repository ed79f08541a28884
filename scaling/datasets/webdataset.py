"""`kind: webdataset`: local shards of pictures and captions (jpg, png or webp, and txt)."""

import logging
from pathlib import Path
from typing import Annotated, cast

import numpy as np
from PIL import Image
from pydantic import BeforeValidator, Field

from scaling.datasets import Options, Samples
from scaling.datasets._decoding import Crop, center_crop, decode, random_crop
from scaling.datasets._order import Passes
from scaling.datasets._shards import Extent, check_shards, expand, index_shard
from scaling.errors import DataError
from scaling.units import parse_count

logger = logging.getLogger(__name__)


class WebdatasetOptions(Options):
    """Which shards, and how their pictures are cut."""

    shards: str | tuple[str, ...] = Field(min_length=1)
    """A path or a brace pattern, `data/{0000..0999}.tar`, or a list of them."""
    size: Annotated[int, BeforeValidator(parse_count)] | None = None
    """Samples in the set, if known; compared with what the shards hold."""
    crop: Crop = "random"
    """`random` is open_clip's training transform, `center` its evaluation transform."""


class WebdatasetStream:
    """See `scaling.datasets.Stream`."""

    def __init__(self, options: WebdatasetOptions, seed: int) -> None:
        """The stream of a trial with this `seed`; raises `DataError` if a shard is missing."""
        self.options = options
        self.seed = seed
        self.shards = expand(options.shards)
        check_shards(self.shards)
        self.skipped = 0
        """Samples that could not be read so far; others took their places."""
        self._passes = Passes(len(self.shards), self._size_of, seed)
        self._sizes: dict[int, int] = {}

    @property
    def unique_samples(self) -> int | None:
        """What the shards hold once all were looked at; before that, the stated size."""
        whole = len(self._sizes) == len(self.shards)
        return sum(self._sizes.values()) if whole else self.options.size

    def read(self, first: int, count: int, image_size: int) -> Samples:
        """See `Stream.read`."""
        found = [self._sample(position, image_size) for position in range(first, first + count)]
        return Samples(np.stack([image for image, _ in found]), [caption for _, caption in found])

    def _sample(self, position: int, image_size: int) -> "tuple[np.ndarray, str]":
        shard_number, row = self._passes.locate(position)
        shard = self.shards[shard_number]
        samples = index_shard(shard)
        # A broken sample's place is taken by the next one of its shard that is whole, so that
        # sample n stays a function of n alone.
        for offset in range(len(samples)):
            sample = samples[(row + offset) % len(samples)]
            try:
                image = _decoded.get(shard, sample.image)
                caption = _read(shard, sample.caption).decode().strip()
            except (OSError, ValueError, SyntaxError) as error:
                self.skipped += 1
                logger.warning(
                    "%s: sample %s is broken and skipped (%d so far): %s",
                    shard,
                    sample.key,
                    self.skipped,
                    error,
                )
                continue
            if self.options.crop == "center":
                return center_crop(image, image_size), caption
            entropy = np.random.SeedSequence((self.seed, position))
            generator = np.random.Generator(np.random.Philox(entropy))
            return random_crop(image, image_size, generator), caption
        raise DataError(f"{shard}: not one of its {len(samples):,} samples can be read")

    def _size_of(self, shard_number: int) -> int:
        if shard_number not in self._sizes:
            self._sizes[shard_number] = len(index_shard(self.shards[shard_number]))
            if len(self._sizes) == len(self.shards):
                self._compare_with_stated_size()
        return self._sizes[shard_number]

    def _compare_with_stated_size(self) -> None:
        stated, held = self.options.size, sum(self._sizes.values())
        if stated is not None and stated != held:
            logger.warning("size: stated as %s, but the shards hold %s samples", stated, held)


class WebdatasetDataset:
    """See `scaling.datasets.Dataset`."""

    options: type[Options] = WebdatasetOptions

    def check(self, options: Options) -> None:
        """See `Dataset.check`."""
        check_shards(expand(cast("WebdatasetOptions", options).shards))

    def open(self, options: Options, seed: int) -> WebdatasetStream:
        """See `Dataset.open`."""
        return WebdatasetStream(cast("WebdatasetOptions", options), seed)


DATASET = WebdatasetDataset()


class _DecodedImages:
    """Decoded pictures of a small set, kept for the next pass and for the next trial.

    Filled until `budget` bytes are held; a set that is larger gains nothing from the rest.
    """

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._images: dict[tuple[Path, Extent], Image.Image] = {}

    def get(self, shard: Path, extent: Extent) -> Image.Image:
        """The picture at this place; raises what `decode` raises."""
        image = self._images.get((shard, extent))
        if image is None:
            image = decode(_read(shard, extent))
            needed = 3 * image.width * image.height
            if needed <= self._left:
                self._left -= needed
                self._images[shard, extent] = image
        return image


_decoded = _DecodedImages(budget=256 * 2**20)


def _read(shard: Path, extent: Extent) -> bytes:
    with shard.open("rb") as file:
        file.seek(extent.offset)
        content = file.read(extent.bytes)
    if len(content) < extent.bytes:
        raise OSError("the shard ends in the middle of it")
    return content
