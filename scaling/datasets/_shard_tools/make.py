"""Shards of the embedded stream, in the layout of img2dataset."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from scaling.datasets._shard_tools.encoding import Format, encode
from scaling.datasets._shard_tools.writing import Sample, new_shard, statistics_of
from scaling.datasets.shapes import ShapesOptions, ShapesStream

_AT_ONCE = 1024
"""Samples drawn together: a block of the stream."""


@dataclass(frozen=True, kw_only=True)
class ShapesShards:
    """The first `samples` of a stream of shapes, in shards of `shard_size`.

    They are the set that `kind: shapes` with `unique: SAMPLES` and the same options trains on.
    """

    folder: Path
    samples: int
    shard_size: int
    image_size: int
    format: Format
    options: ShapesOptions

    @property
    def shards(self) -> int:
        """How many shards hold them."""
        return -(-self.samples // self.shard_size)

    @property
    def pattern(self) -> str:
        """Their paths, as a grid takes them."""
        digits = self._digits
        last = f"{self.shards - 1:0{digits}d}"
        names = last if self.shards == 1 else f"{{{0:0{digits}d}..{last}}}"
        return f"{self.folder}/{names}.tar"

    def write(self, advance: Callable[[int], None]) -> int:
        """Write the shards that are not there; the number of samples that were, in whole shards.

        `advance` is told of samples that are done. Raises `DataError` if a shard cannot be
        written, or is there but holds something else.
        """
        there = 0
        for shard in range(self.shards):
            path = self.folder / f"{shard:0{self._digits}d}.tar"
            first = shard * self.shard_size
            count = min(self.shard_size, self.samples - first)
            made_of = self._made_of(first, count)
            if statistics_of(path, made_of) is not None:
                there += count
                advance(count)
                continue
            with new_shard(path, made_of) as writer:
                for sample in self._samples(shard, first, count):
                    writer.add(sample)
                    advance(1)
                writer.statistics["samples"] = count
        return there

    @property
    def _digits(self) -> int:
        """Of a shard's number; img2dataset writes five."""
        return max(5, len(str(self.shards - 1)))

    def _made_of(self, first: int, count: int) -> dict[str, Any]:
        return {
            "kind": "shapes",
            **self.options.model_dump(mode="json", exclude={"unique"}),
            "format": self.format,
            "image_size": self.image_size,
            "first_sample": first,
            "samples": count,
        }

    def _samples(self, shard: int, first: int, count: int) -> Iterator[Sample]:
        stream = ShapesStream(self.options, seed=0)
        row_digits = max(4, len(str(self.shard_size - 1)))
        for start in range(first, first + count, _AT_ONCE):
            drawn = min(_AT_ONCE, first + count - start)
            images, captions = stream.read(start, drawn, self.image_size)
            for number, (image, caption) in enumerate(zip(images, captions, strict=True), start):
                key = f"{shard:0{self._digits}d}{number - first:0{row_digits}d}"
                about = {
                    "key": key,
                    "uid": f"{number:032x}",
                    "caption": caption,
                    "width": self.image_size,
                    "height": self.image_size,
                    "status": "success",
                }
                files = {
                    self.format: encode(Image.fromarray(image), self.format, quality=None),
                    "txt": caption.encode(),
                    "json": json.dumps(about).encode(),
                }
                yield Sample(key, files)
