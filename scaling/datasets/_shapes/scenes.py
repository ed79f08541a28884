"""What is in each picture: attributes of one or two objects and of their background.

Scenes are drawn in blocks of fixed size, each from a generator of its own (Philox is
counter-based: every key is an independent stream). So a sample is a function of its key and index
alone, and training and held-out samples, whose keys differ in one bit, can never meet.

Shapes: N scenes, 2 object slots; the second slot is empty in most scenes.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling.vocabulary import (
    BACKGROUNDS,
    COLOURS,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
)

BLOCK = 1024
"""Scenes that are drawn together."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Stage(IntEnum):
    """What a generator is for; pixels use the image size, which is larger than these."""

    SCENES = 0
    CAPTIONS = 1


class Key(NamedTuple):
    """Names an endless sequence of samples."""

    seed: int
    """Below 2**62."""
    held_out: bool = False

    def generator(self, stage: int, block: int) -> np.random.Generator:
        """The generator of one stage of one block; no two share any number."""
        assert 0 <= self.seed < 2**62
        assert 0 <= stage < 2**20
        assert 0 <= block < 2**44
        words = [self.seed | self.held_out << 63, stage << 44 | block]
        return np.random.Generator(np.random.Philox(key=np.array(words, dtype=np.uint64)))


class Scenes(NamedTuple):
    """N scenes, attribute by attribute; indices refer to the tuples in `words`."""

    shapes_N2: Ints
    colours_N2: Ints
    textures_N2: Ints
    sizes_N2: Ints
    has_second_N: NDArray[np.bool_]
    relations_N: Ints
    backgrounds_N: Ints
    difficulty_N: Floats
    """Multiplies every nuisance below, 0.01 to 0.5."""
    nuisance_N27: Floats
    """Per object, standard normal: x, y, rotation, aspect, red, green, blue."""

    def rows(self, rows: slice) -> "Scenes":
        """Some of these scenes."""
        return Scenes._make(attribute[rows] for attribute in self)


def draw_scenes(generator: np.random.Generator, count: int) -> Scenes:
    """`count` scenes as the training set has them: common and rare objects, easy and hard."""
    classes = generator.choice(len(_CLASS_SHARES), size=(count, 2), p=_CLASS_SHARES)
    plain = generator.random((count, 2)) < 0.8
    textures = generator.integers(1, len(TEXTURES), size=(count, 2))
    return Scenes(
        shapes_N2=classes // len(COLOURS),
        colours_N2=classes % len(COLOURS),
        textures_N2=np.where(plain, 0, textures),
        sizes_N2=generator.integers(len(SIZES), size=(count, 2)),
        has_second_N=generator.random(count) < 0.35,
        relations_N=generator.integers(len(RELATIONS), size=count),
        backgrounds_N=generator.integers(len(BACKGROUNDS), size=count),
        # Log-uniform, so that easy pictures are common and hard ones form a tail.
        difficulty_N=(0.01 * 50 ** generator.random(count)).astype(np.float32),
        nuisance_N27=generator.standard_normal((count, 2, 7), dtype=np.float32),
    )


def _class_shares() -> NDArray[np.float64]:
    """Zipf's law with exponent 0.8 over shape x colour, in a fixed shuffled order of classes."""
    count = len(SHAPES) * len(COLOURS)
    ranks = np.random.Generator(np.random.Philox(key=0)).permutation(count)
    shares = (1.0 + ranks) ** -0.8
    return np.asarray(shares / shares.sum())


_CLASS_SHARES = _class_shares()
