"""Encoded pictures to square RGB arrays, cropped as open_clip crops them."""

import io
import math
import struct
import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scaling.families._images import Framing

Crop = Literal["random", "center"]

UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for one broken picture or another."""

_SCALE = (0.9, 1.0)
"""Share of the area that a random crop keeps (open_clip's default augmentation)."""
_LOG_RATIO = (math.log(3 / 4), math.log(4 / 3))
_ATTEMPTS = 10


def decode(encoded: bytes) -> Image.Image:
    """The picture in RGB; raises one of `UNREADABLE` if it is broken."""
    with Image.open(io.BytesIO(encoded)) as image:
        return image.convert("RGB")


def center_crop(
    image: Image.Image, size: int, how: Image.Resampling = Image.Resampling.BICUBIC
) -> NDArray[np.uint8]:
    """open_clip's evaluation transform: shorter side to `size`, then the middle (S, S, 3)."""
    width, height = image.size
    shorter = min(width, height)
    scaled = (int(size * width / shorter), int(size * height / shorter))
    image = _resized(image, scaled, how)
    left, top = round((scaled[0] - size) / 2), round((scaled[1] - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def framed(image: Image.Image, size: int, framing: Framing) -> NDArray[np.uint8]:
    """open_clip's evaluation transform for any `framing` (S, S, 3)."""
    how = Image.Resampling[framing.interpolation.upper()]
    match framing.resize:
        case "squash":
            return np.asarray(_resized(image, (size, size), how))
        case "longest":
            ratio = max(image.size) / size
            scaled = (round(image.width / ratio), round(image.height / ratio))
            canvas = Image.new("RGB", (size, size))
            left, top = (size - scaled[0]) // 2, (size - scaled[1]) // 2
            canvas.paste(_resized(image, scaled, how), (left, top))
            return np.asarray(canvas)
        case "shortest":
            return center_crop(image, size, how)


def _resized(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
    return image if size == image.size else image.resize(size, how)


def random_crop(
    image: Image.Image, size: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """open_clip's training transform: torchvision's RandomResizedCrop of 90 to 100 % (S, S, 3)."""
    left, top, width, height = _random_box(*image.size, generator)
    # Cut first, as torchvision does: `resize` with a box would look beyond its edges.
    image = image.crop((left, top, left + width, top + height))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def draft_crop(
    encoded: bytes, size: int, crop: Crop, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Either crop of a picture that is decoded no larger than it needs (S, S, 3).

    A JPEG is decoded at a half, a quarter or an eighth, the smallest at which the crop still has
    `size` pixels; other formats as they are. The crop is the one that is made without draft.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        width, height = image.size
        whole = (0, 0, width, height)
        left, top, w, h = _random_box(width, height, generator) if crop == "random" else whole
        image.draft(
            "RGB", (math.ceil(width * size / min(w, h)), math.ceil(height * size / min(w, h)))
        )
        reduced = image.convert("RGB")
    if crop == "center":
        return center_crop(reduced, size)
    x, y = reduced.width / width, reduced.height / height
    box = (left * x, top * y, (left + w) * x, (top + h) * y)
    return np.asarray(reduced.resize((size, size), Image.Resampling.BICUBIC, box=box))


def _random_box(
    width: int, height: int, generator: np.random.Generator
) -> tuple[int, int, int, int]:
    """Left, top, width and height, as torchvision draws them; the middle if none fits."""
    for _ in range(_ATTEMPTS):
        area = width * height * generator.uniform(*_SCALE)
        ratio = math.exp(generator.uniform(*_LOG_RATIO))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = generator.integers(width - w + 1), generator.integers(height - h + 1)
            return int(left), int(top), w, h
    narrowest, widest = (math.exp(bound) for bound in _LOG_RATIO)
    w = min(width, round(height * widest))
    h = min(height, round(width / narrowest))
    return (width - w) // 2, (height - h) // 2, w, h
