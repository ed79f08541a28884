"""Scenes as pixels and as segmentation masks, from signed distances, all scenes at once.

Coordinates run from -1 to 1 over the picture, y downwards. Shapes: N scenes, S pixels a side.
"""

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._shapes.outlines import SIGNED_DISTANCES
from scaling.datasets._shapes.scenes import Floats, Ints, Scenes

BACKGROUND_MASK = 0
"""The mask's value outside every object; inside, it is 1 + the shape's index."""

_COLOURS = np.array(
    [
        (0.88, 0.10, 0.10),  # red
        (1.00, 0.52, 0.02),  # orange
        (1.00, 0.92, 0.10),  # yellow
        (0.62, 0.98, 0.15),  # lime
        (0.05, 0.55, 0.15),  # green
        (0.05, 0.90, 0.95),  # cyan
        (0.10, 0.20, 0.92),  # blue
        (0.52, 0.08, 0.72),  # purple
        (1.00, 0.50, 0.78),  # pink
        (0.48, 0.26, 0.08),  # brown
    ],
    dtype=np.float32,
)
_BACKGROUNDS = np.array(
    [
        (0.96, 0.97, 0.98),  # snow
        (0.62, 0.62, 0.62),  # fog
        (0.04, 0.04, 0.07),  # night
        (0.85, 0.78, 0.60),  # sand
        (0.66, 0.80, 0.93),  # sky
        (0.25, 0.31, 0.20),  # moss
        (0.30, 0.21, 0.36),  # dusk
        (0.32, 0.40, 0.46),  # steel
    ],
    dtype=np.float32,
)
_RADIUS_ALONE = np.array([0.50, 0.78], dtype=np.float32)
_RADIUS_OF_TWO = np.array([0.36, 0.48], dtype=np.float32)
_OFFSET = 0.5
"""Distance of each of two objects from the middle."""
_DIRECTIONS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], dtype=np.float32)
"""Of the first object from the middle, by relation: left, right, above, below."""
_SHADE = 0.4
"""Brightness of the dark part of a texture."""


def render(scenes: Scenes, image_size: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Pictures (N, S, S, 3); `generator` draws the noise of the pixels."""
    count, size = len(scenes.difficulty_N), image_size
    pixels = np.empty((count, size, size, 3), dtype=np.float32)
    pixels[:] = _BACKGROUNDS[scenes.backgrounds_N, None, None, :]
    for slot in (1, 0):
        rows = np.flatnonzero(scenes.has_second_N | (slot == 0))
        paint = _coverage(scenes, slot, rows, size)[..., None]
        nuisance = scenes.nuisance_N27[rows, slot] * scenes.difficulty_N[rows, None]
        colours = _COLOURS[scenes.colours_N2[rows, slot]] + 0.16 * nuisance[:, 4:7]
        shade = _shade(scenes.textures_N2[rows, slot], size)[..., None]
        pixels[rows] += paint * (colours[:, None, None, :] * shade - pixels[rows])
    noise = generator.standard_normal(pixels.shape, dtype=np.float32)
    noise *= (0.2 * scenes.difficulty_N)[:, None, None, None]
    pixels += noise
    np.clip(pixels, 0.0, 1.0, out=pixels)
    pixels *= 255
    return np.rint(pixels, out=pixels).astype(np.uint8)


def masks(scenes: Scenes, image_size: int) -> NDArray[np.uint8]:
    """What each pixel shows (N, S, S): `BACKGROUND_MASK`, or 1 + the index of a shape."""
    found = np.full((len(scenes.difficulty_N), image_size, image_size), BACKGROUND_MASK, np.uint8)
    for slot in (1, 0):
        rows = np.flatnonzero(scenes.has_second_N | (slot == 0))
        inside = _coverage(scenes, slot, rows, image_size) > 0.5
        labels = (1 + scenes.shapes_N2[rows, slot]).astype(np.uint8)[:, None, None]
        found[rows] = np.where(inside, labels, found[rows])
    return found


def _coverage(scenes: Scenes, slot: int, rows: Ints, image_size: int) -> Floats:
    """The share of each pixel that the object covers, in the scenes `rows` (count, S, S)."""
    nuisance = scenes.nuisance_N27[rows, slot] * scenes.difficulty_N[rows, None]
    two = scenes.has_second_N[rows]
    sizes = scenes.sizes_N2[rows, slot]
    radius = np.where(two, _RADIUS_OF_TWO[sizes], _RADIUS_ALONE[sizes])
    direction = _DIRECTIONS[scenes.relations_N[rows]] * (1 if slot == 0 else -1)
    centre = direction * np.where(two, _OFFSET, 0.0)[:, None] + 0.12 * nuisance[:, 0:2]
    aspect = np.exp(0.25 * nuisance[:, 3])
    angle = 0.35 * nuisance[:, 2]

    axis = ((np.arange(image_size) + 0.5) * (2 / image_size) - 1).astype(np.float32)
    x = ((axis - centre[:, 0:1]) / radius[:, None])[:, None, :]
    y = ((axis - centre[:, 1:2]) / radius[:, None])[:, :, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    u = (x * cos + y * sin) / aspect[:, None, None]
    v = (y * cos - x * sin) * aspect[:, None, None]

    distance = np.empty((len(rows), image_size, image_size), dtype=np.float32)
    shapes = scenes.shapes_N2[rows, slot]
    for index, signed_distance in enumerate(SIGNED_DISTANCES):
        same = np.flatnonzero(shapes == index)
        distance[same] = signed_distance(u[same], v[same])
    pixels_per_radius = radius[:, None, None] * (image_size / 2)
    coverage: Floats = np.clip(0.5 - distance * pixels_per_radius, 0.0, 1.0)
    return coverage


def _shade(textures: Ints, image_size: int) -> Floats:
    """Brightness of each texture's pattern (count, S, S), in 16 cells a side of the picture."""
    cell = np.arange(image_size) * 16 // image_size
    row, column = cell[:, None], cell[None, :]
    patterns = np.ones((4, image_size, image_size), dtype=np.float32)
    patterns[1][(row % 3 == 0) & (column >= 0)] = _SHADE
    patterns[2][(row % 3 == 1) & (column % 3 == 1)] = _SHADE
    patterns[3][(row // 2 + column // 2) % 2 == 0] = _SHADE
    shades: Floats = patterns[textures]
    return shades
