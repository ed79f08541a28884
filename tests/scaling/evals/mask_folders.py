"""Folders of real pictures and label maps, as ADE20K has them."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((40, 30), (30, 44), (32, 32), (70, 24))
"""Width and height, in turn."""


def write_folder(
    folder: Path, counts: tuple[int, int] = (8, 4), *, zero_is_other: bool = True
) -> None:
    """Pictures in three bands of one colour each, whose classes are 1 to 3, and a corner of 0.

    Each half's pictures differ. Without `zero_is_other` classes begin at 0, the corner is 255.
    """
    generator = np.random.default_rng(0)
    colours = np.array([(0, 0, 0), (220, 40, 40), (40, 200, 60), (40, 60, 220)])
    for half, count in zip(("training", "validation"), counts, strict=True):
        for part in ("images", "annotations"):
            (folder / part / half).mkdir(parents=True)
        for n in range(count):
            width, height = SIZES[n % len(SIZES)]
            bands = generator.permutation(3)[np.arange(width) * 3 // width] + 1
            mask = np.tile(bands, (height, 1))
            mask[: height // 4, : width // 4] = 0
            noise = generator.integers(-20, 21, size=(height, width, 3))
            image = np.clip(colours[mask] + noise, 0, 255).astype(np.uint8)
            Image.fromarray(image).save(folder / "images" / half / f"p{n:03}.jpg", quality=95)
            values = mask if zero_is_other else np.where(mask == 0, 255, mask - 1)
            label_map = Image.fromarray(values.astype(np.uint8))
            label_map.save(folder / "annotations" / half / f"p{n:03}.png")
