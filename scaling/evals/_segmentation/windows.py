"""Pictures of any size through windows of one size, and back to the pictures' own pixels.

The shorter side is scaled to the window's, windows cover the longer side evenly, and what they
overlap in is averaged. Source: github.com/tue-mps/benchmark-vfm-ss at b657aad,
`training/semantic.py`; there, starts of windows are rounded down from floats, here they are exact.

Shapes: B pictures of equal size, C classes, H and W pixels.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from scaling.datasets._cores import in_threads
from scaling.datasets._prefetch import ReadAhead
from scaling.evaluation_sets import Picture, Pictures

_READ_TOGETHER = 128
"""Pictures, of which those of equal size are computed together."""

_WINDOWS_AT_ONCE = 64

_NUMBERS_AT_ONCE = 2**26
"""Logits at the pixels of pictures that are in memory together."""


class Scaled(NamedTuple):
    """Pictures of one size."""

    images: NDArray[np.uint8]
    """(B, h, w, 3), the shorter side as long as a window's."""
    masks: NDArray[np.uint8]
    """(B, H, W), as they were."""
    positions: tuple[int, ...]
    """Where they stand in their half of the set."""


def scaled_pictures(pictures: Pictures, crop: int) -> Iterator[Scaled]:
    """All pictures for windows of `crop` pixels, those of equal size together."""
    count = len(pictures)
    ahead = ReadAhead(
        lambda first: _read(pictures, range(first, min(first + _READ_TOGETHER, count)), crop),
        step=_READ_TOGETHER,
        until=count,
    )
    try:
        for first in range(0, count, _READ_TOGETHER):
            yield from ahead.at(first)
    finally:
        ahead.close()


def windows(length: int, crop: int) -> list[slice]:
    """Windows of `crop` pixels that cover `length` pixels evenly; the last ends at the end."""
    count = -(-length // crop)
    starts = [n * (length - crop) // max(1, count - 1) for n in range(count)]
    return [slice(start, start + crop) for start in starts]


def window_parts(images: NDArray[np.uint8], crop: int) -> list[tuple[slice, slice]]:
    """Rows and columns of the windows of images (B, h, w, 3)."""
    rows, columns = (windows(length, crop) for length in images.shape[1:3])
    return [(row, column) for row in rows for column in columns]


def at_once(images: NDArray[np.uint8]) -> int:
    """How many pictures of this size to compute together, so that their windows fit."""
    height, width = images.shape[1:3]
    windows_each = -(-max(height, width) // min(height, width))
    return max(1, _WINDOWS_AT_ONCE // int(windows_each))


def sliding_logits(
    images: NDArray[np.uint8], crop: int, logits_of: Callable[[NDArray[np.uint8]], Tensor]
) -> Tensor:
    """Logits (B, C, h, w) in fp32 of images (B, h, w, 3), the mean over their windows.

    `logits_of` takes windows (B, crop, crop, 3) and gives logits of their patches (B, C, rows,
    columns), which are interpolated to pixels.
    """
    parts = window_parts(images, crop)
    found = [
        interpolate(logits_of(images[:, rows, columns]).float(), (crop, crop), mode="bilinear")
        for rows, columns in parts
    ]
    if len(parts) == 1:
        return found[0]
    total = found[0].new_zeros(*found[0].shape[:2], *images.shape[1:3])
    counts = found[0].new_zeros(images.shape[1:3])
    for (rows, columns), logits in zip(parts, found, strict=True):
        total[:, :, rows, columns] += logits
        counts[rows, columns] += 1
    return total / counts


def likeliest(logits: Tensor, size: tuple[int, int]) -> NDArray[np.int64]:
    """The class of the largest of logits (B, C, h, w) at each pixel of pictures of `size`.

    Classes are interpolated a few at a time: 150 of them at the pixels of a large photograph are
    gigabytes.
    """
    classes = logits.shape[1]
    together = max(1, _NUMBERS_AT_ONCE // (len(logits) * size[0] * size[1]))
    best = answer = None
    for first in range(0, classes, together):
        part = logits[:, first : first + together]
        if part.shape[-2:] != size:
            part = interpolate(part, size, mode="bilinear")
        value, index = part.max(dim=1)
        if best is None or answer is None:
            best, answer = value, index
        else:
            answer = torch.where(value > best, index + first, answer)
            best = torch.maximum(value, best)
    assert answer is not None
    array: NDArray[np.int64] = answer.cpu().numpy()
    return array


def _read(pictures: Pictures, positions: range, crop: int) -> list[Scaled]:
    found: list[Picture | None] = [None] * len(positions)

    def read(row: int) -> None:
        picture = pictures[positions[row]]
        if picture is not None:
            found[row] = Picture(_scaled(picture.image, crop), picture.mask)

    in_threads(read, range(len(positions)))
    by_size: dict[tuple[int, ...], list[int]] = {}
    for row, picture in enumerate(found):
        if picture is not None:
            by_size.setdefault(picture.mask.shape, []).append(row)
    return [part for rows in by_size.values() for part in _stacked(found, rows, positions)]


def _stacked(found: list[Picture | None], rows: list[int], positions: range) -> Iterator[Scaled]:
    first = found[rows[0]]
    assert first is not None
    count = at_once(first.image[None])
    for start in range(0, len(rows), count):
        together = rows[start : start + count]
        there = [picture for row in together if (picture := found[row]) is not None]
        yield Scaled(
            np.stack([picture.image for picture in there]),
            np.stack([picture.mask for picture in there]),
            tuple(positions[row] for row in together),
        )


def _scaled(image: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    factor = crop / min(height, width)
    size = (round(width * factor), round(height * factor))
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
