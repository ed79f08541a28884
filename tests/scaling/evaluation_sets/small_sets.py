"""Evaluation sets of a few pictures, in the layout that the field ships them in."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import webdataset
from PIL import Image

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "jpeg": "JPEG"}

Members = Mapping[str, bytes]
"""The files of a sample, by suffix."""


def picture(seed: int, suffix: str = "jpg", size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture, width and height `size`, of random colours."""
    pixels = np.random.default_rng(seed).integers(256, size=(*size[::-1], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, FORMATS[suffix])
    return buffer.getvalue()


def numbers(values: Sequence[float]) -> bytes:
    """An array in numpy's format."""
    buffer = io.BytesIO()
    np.save(buffer, np.array(values))
    return buffer.getvalue()


def write_set(
    folder: Path,
    shards: Sequence[Sequence[Members]],
    *,
    classes: Sequence[str] = (),
    templates: Sequence[str] = ("{c}",),
    kind: str = "",
) -> Path:
    """A set whose samples are called s0, s1, ... through all shards."""
    split = folder / "test"
    split.mkdir(parents=True)
    (split / "nshards.txt").write_text(f"{len(shards)}\n")
    if classes:
        (folder / "classnames.txt").write_text("".join(f"{name}\n" for name in classes))
        (folder / "zeroshot_classification_templates.txt").write_text("\n".join(templates))
    if kind:
        (folder / "dataset_type.txt").write_text(f"{kind}\n")
    number = 0
    for position, samples in enumerate(shards):
        with webdataset.TarWriter(str(split / f"{position}.tar"), encoder=False) as writer:
            for members in samples:
                writer.write({"__key__": f"s{number}", **members})
                number += 1
    return folder
