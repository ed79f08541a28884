"""Shards in the layout of img2dataset, made where a test needs them."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from PIL import Image

FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


def picture(number: int, suffix: str = "png", size: tuple[int, int] = (24, 24)) -> bytes:
    """A picture whose every pixel has `number` as its red value (nearly so in a JPEG)."""
    pixels = np.full((*size, 3), (number, 60, 120), np.uint8)
    buffer = io.BytesIO()
    options = {"quality": 95} if suffix == "jpg" else {"lossless": True}
    Image.fromarray(pixels).save(buffer, FORMATS[suffix], **options)
    return buffer.getvalue()


def uid(number: int) -> str:
    """128 bits in hexadecimal, spread over both halves."""
    return f"{(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128:032x}"


def write_shard(path: Path, samples: Sequence[Mapping[str, Any]]) -> None:
    """A shard of these samples; `fields` become a json with a uid, what is absent a default."""
    with webdataset.TarWriter(str(path)) as writer:
        for sample in samples:
            number = sample["number"]
            suffix = list(FORMATS)[number % 3]
            fields = {"uid": uid(number), **sample.get("fields", {})}
            files = {
                "__key__": f"{number:09d}",
                suffix: picture(number, suffix),
                "txt": f"{number} in txt",
                "json": json.dumps(fields).encode(),
            }
            writer.write({k: v for k, v in files.items() if k not in sample.get("without", ())})


def write_numbers(path: Path, numbers: Sequence[int]) -> str:
    """A shard of samples with nothing but a number; its path."""
    write_shard(path, [{"number": number} for number in numbers])
    return str(path)


def numbers(captions: Sequence[str]) -> list[int]:
    """The numbers that captions begin with."""
    return [int(caption.split()[0]) for caption in captions]
