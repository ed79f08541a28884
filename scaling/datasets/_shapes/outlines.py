"""The ten shapes as signed distances: negative inside, in units of the object's radius.

Each is a function of (u, v), coordinates in which the object has radius 1; v points down.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def _circle(u: Floats, v: Floats) -> Floats:
    return np.hypot(u, v) - 0.92


def _square(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.abs(u), np.abs(v)) - 0.82


def _triangle(u: Floats, v: Floats) -> Floats:
    distance: Floats = np.maximum(v - 0.75, 0.878 * np.abs(u) - 0.479 * v - 0.45)
    return distance


def _diamond(u: Floats, v: Floats) -> Floats:
    return (np.abs(u) + np.abs(v) - 1.0) * 0.7071


def _cross(u: Floats, v: Floats) -> Floats:
    u, v = np.abs(u), np.abs(v)
    distance: Floats = np.minimum(np.maximum(u - 0.28, v - 0.95), np.maximum(u - 0.95, v - 0.28))
    return distance


def _ring(u: Floats, v: Floats) -> Floats:
    ring: Floats = np.abs(np.hypot(u, v) - 0.72) - 0.22
    return ring


def _frame(u: Floats, v: Floats) -> Floats:
    frame: Floats = np.abs(np.maximum(np.abs(u), np.abs(v)) - 0.68) - 0.18
    return frame


def _star(u: Floats, v: Floats) -> Floats:
    """Five points at radius 1.1, notches at 0.42: one edge, folded around the circle."""
    sector = 2 * np.pi / 5
    angle = np.abs((np.arctan2(u, -v) + sector / 2) % sector - sector / 2)
    distance = np.hypot(u, v)
    along, across = distance * np.cos(angle), distance * np.sin(angle)
    notch_along, notch_across = 0.42 * np.cos(sector / 2), 0.42 * np.sin(sector / 2)
    edge_along, edge_across = notch_along - 1.1, notch_across
    length = np.hypot(edge_along, edge_across)
    star: Floats = (edge_across * (along - 1.1) - edge_along * across) / length
    return star


def _moon(u: Floats, v: Floats) -> Floats:
    distance: Floats = np.maximum(np.hypot(u, v) - 0.95, 0.78 - np.hypot(u - 0.52, v))
    return distance


def _heart(u: Floats, v: Floats) -> Floats:
    u = np.abs(u)
    lobes = np.hypot(u - 0.44, v + 0.33) - 0.52
    tip = np.maximum(0.74 * u + 0.67 * v - 0.62, -v - 0.33)
    distance: Floats = np.minimum(lobes, tip)
    return distance


SIGNED_DISTANCES: tuple[Callable[[Floats, Floats], Floats], ...] = (
    _circle, _square, _triangle, _diamond, _cross, _ring, _frame, _star, _moon, _heart,
)  # fmt: skip
"""By the index of the shape in `words.SHAPES`."""
