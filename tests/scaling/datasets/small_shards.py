"""Shards of a few samples, as webdataset writes them, and how to break them."""

import io
from pathlib import Path

import numpy as np
import webdataset
from PIL import Image

from scaling.datasets._webdataset.index import Tar
from scaling.datasets._webdataset.shards import find_shards


def picture(seed: int, width: int, height: int, form: str = "JPEG") -> bytes:
    """A smooth picture, encoded."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(256, size=(4, 4, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(buffer, form)
    return buffer.getvalue()


def write_shard(path: Path, samples: dict[str, dict[str, bytes]]) -> Path:
    """`samples`: files by suffix, by key."""
    with webdataset.TarWriter(str(path), encoder=False) as writer:
        for key, files in samples.items():
            writer.write({"__key__": key, **files})
    return path


def read_shard(path: Path) -> dict[str, dict[str, bytes]]:
    """What `write_shard` was given."""
    (shard,) = find_shards([path])
    return {
        group.key: {suffix: shard.read(extent) for suffix, extent in group.files.items()}
        for group in Tar(shard).groups(with_json=False)
    }
