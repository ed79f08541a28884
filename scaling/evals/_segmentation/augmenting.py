"""Pictures changed at random to learn from: colours, mirroring, scale, and where they are cut.

Source: github.com/tue-mps/benchmark-vfm-ss, `datasets/transforms.py`, after Mask2Former.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from scaling.evals._segmentation.options import TrainingOptions
from scaling.evaluation_sets import IGNORED, Picture

_CUTS = 10
"""Tries to find a part of which something is known."""


def augmented(
    picture: Picture, crop: int, options: TrainingOptions, generator: np.random.Generator
) -> Picture:
    """A part of the picture, `crop` pixels square, black and `IGNORED` beyond its edges."""
    image = _recoloured(Image.fromarray(picture.image), options, generator)
    mask = Image.fromarray(picture.mask)
    if generator.random() < options.flip:
        mirror = Image.Transpose.FLIP_LEFT_RIGHT
        image, mask = image.transpose(mirror), mask.transpose(mirror)
    scale = generator.uniform(options.smallest_scale, options.largest_scale)
    factor = scale * crop / max(image.size)
    size = (max(1, int(image.width * factor)), max(1, int(image.height * factor)))
    image = image.resize(size, Image.Resampling.BILINEAR)
    mask = mask.resize(size, Image.Resampling.NEAREST)
    return _cut(_padded(np.asarray(image), np.asarray(mask), crop), crop, generator)


def _recoloured(
    image: Image.Image, options: TrainingOptions, generator: np.random.Generator
) -> Image.Image:
    """Each change with probability `jitter`; contrast before or after saturation and hue."""

    def changed(image: Image.Image, name: str) -> Image.Image:
        largest = getattr(options, name)
        amount = generator.uniform(-largest, largest)
        if generator.random() >= options.jitter:
            return image
        if name == "hue":
            return _turned(image, amount)
        return _ENHANCERS[name](image).enhance(1 + amount)

    image = changed(image, "brightness")
    rest = ["contrast", "saturation", "hue"]
    for name in rest if generator.random() < 0.5 else [*rest[1:], rest[0]]:
        image = changed(image, name)
    return image


_ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def _turned(image: Image.Image, turns: float) -> Image.Image:
    """The picture with its hues moved along the circle of colours."""
    hue, saturation, value = image.convert("HSV").split()
    moved = (np.asarray(hue).astype(np.int64) + round(255 * turns)) % 256
    turned = Image.merge("HSV", (Image.fromarray(moved.astype(np.uint8)), saturation, value))
    return turned.convert("RGB")


def _padded(image: NDArray[np.uint8], mask: NDArray[np.uint8], crop: int) -> Picture:
    """At least `crop` pixels each way; what is added is below and to the right."""
    missing = [(0, max(0, crop - length)) for length in mask.shape]
    return Picture(
        np.pad(image, [*missing, (0, 0)]), np.pad(mask, missing, constant_values=IGNORED)
    )


def _cut(picture: Picture, crop: int, generator: np.random.Generator) -> Picture:
    height, width = picture.mask.shape
    for _ in range(_CUTS):
        top, left = (int(generator.integers(length - crop + 1)) for length in (height, width))
        part = (slice(top, top + crop), slice(left, left + crop))
        if (picture.mask[part] != IGNORED).any():
            break
    return Picture(picture.image[part], picture.mask[part])
