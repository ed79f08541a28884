"""Pictures of shards, cut for a network; those of a small set are decoded once."""

import threading

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scaling.datasets._webdataset.decoding import (
    Crop,
    center_crop,
    decode,
    draft_crop,
    random_crop,
)
from scaling.datasets._webdataset.shards import Extent, Shard


class Pictures:
    """Decoded pictures of a small set, kept for the next pass and for the next trial.

    Filled until `budget` bytes are held; a set that is larger gains nothing from the rest.
    """

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._lock = threading.Lock()
        self._images: dict[tuple[Shard, int], Image.Image] = {}

    def get(self, shard: Shard, extent: Extent) -> Image.Image:
        """The picture at this place; raises what `decode` raises."""
        image = self._images.get((shard, extent.offset))
        if image is None:
            image = decode(shard.read(extent))
            needed = 3 * image.width * image.height
            with self._lock:
                if needed <= self._left:
                    self._left -= needed
                    self._images[shard, extent.offset] = image
        return image


_decoded = Pictures(budget=256 * 2**20)


def cut(
    shard: Shard, extent: Extent, size: int, *, crop: Crop, draft: bool, entropy: tuple[int, ...]
) -> NDArray[np.uint8]:
    """The picture at this place, `size` pixels square; raises `UNREADABLE` if it is broken."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
    if draft:
        # Never from memory, where pictures are decoded in full: pixels must not depend on it.
        return draft_crop(shard.read(extent), size, crop, generator)
    image = _decoded.get(shard, extent)
    return center_crop(image, size) if crop == "center" else random_crop(image, size, generator)
