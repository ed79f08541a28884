"""Scenes in words: compositional captions that leave things out, and may be wrong."""

from collections.abc import Sequence

import numpy as np

from scaling.datasets._shapes.scenes import Ints, Scenes
from scaling.vocabulary import (
    ANY_SHAPE,
    BACKGROUNDS,
    COLOURS,
    OPENINGS,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    with_article,
)


def write_captions(
    scenes: Scenes, generator: np.random.Generator, noise: float = 0.0
) -> list[str]:
    """One caption a scene, at most 14 words.

    Each scene has a latent alignment q ~ Beta(1.2, 1); in its caption every attribute is replaced
    by a random one with probability `noise` x (1 - q). 0 is clean; at 1, 45 % are replaced.
    """
    count = len(scenes.difficulty_N)
    told = generator.random((count, 12)).tolist()
    told_scenes = _misread(scenes, generator, noise)
    firsts, seconds = (_object_words(told_scenes, slot) for slot in (0, 1))
    relations = told_scenes.relations_N.tolist()
    backgrounds = told_scenes.backgrounds_N.tolist()
    pairs = scenes.has_second_N.tolist()
    return [
        _sentence(row, first, second if two else None, RELATIONS[relation], BACKGROUNDS[ground])
        for row, first, second, two, relation, ground in zip(
            told, firsts, seconds, pairs, relations, backgrounds, strict=True
        )
    ]


_ObjectWords = tuple[str, str, str, str]
"""Size, texture, colour, shape."""


def _sentence(
    told: Sequence[float],
    first: _ObjectWords,
    second: _ObjectWords | None,
    relation: str,
    background: str,
) -> str:
    """The caption of one scene; `told` are uniform numbers that decide what it mentions."""
    opening = OPENINGS[int(4 * told[0])]
    ground = f" on {background}" if told[1] < 0.5 else ""
    if second is None or told[2] < 0.15:
        return f"{opening}{_noun_phrase(told[3:7], first, brief=second is not None)}{ground}"
    one, other = (
        _noun_phrase(told[3:7], first, brief=True),
        _noun_phrase(told[7:11], second, brief=True),
    )
    return f"{opening}{one} {relation} {other}{ground}"


def _noun_phrase(told: Sequence[float], words: _ObjectWords, *, brief: bool) -> str:
    """'a large red circle'; brief ones have no more than one word before the colour."""
    size, texture, colour, shape = words
    parts = []
    if told[0] < 0.5:
        parts.append(size)
    if (told[1] < 0.7 if texture != "solid" else told[1] < 0.1) and not (brief and parts):
        parts.append(texture)
    if told[2] < 0.9:
        parts.append(colour)
    parts.append(shape if told[3] < 0.9 else ANY_SHAPE)
    return with_article(" ".join(parts))


def _misread(scenes: Scenes, generator: np.random.Generator, noise: float) -> Scenes:
    """The scenes as a caption writer with this much noise sees them."""
    count = len(scenes.difficulty_N)
    wrong_N = noise * (1.0 - generator.beta(1.2, 1.0, size=count))

    def misread(values: Ints, kinds: int) -> Ints:
        threshold = wrong_N.reshape((count,) + (1,) * (values.ndim - 1))
        is_wrong = generator.random(values.shape) < threshold
        return np.where(is_wrong, generator.integers(kinds, size=values.shape), values)

    return scenes._replace(
        shapes_N2=misread(scenes.shapes_N2, len(SHAPES)),
        colours_N2=misread(scenes.colours_N2, len(COLOURS)),
        textures_N2=misread(scenes.textures_N2, len(TEXTURES)),
        sizes_N2=misread(scenes.sizes_N2, len(SIZES)),
        relations_N=misread(scenes.relations_N, len(RELATIONS)),
        backgrounds_N=misread(scenes.backgrounds_N, len(BACKGROUNDS)),
    )


def _object_words(scenes: Scenes, slot: int) -> list[_ObjectWords]:
    indices = zip(
        scenes.sizes_N2[:, slot].tolist(),
        scenes.textures_N2[:, slot].tolist(),
        scenes.colours_N2[:, slot].tolist(),
        scenes.shapes_N2[:, slot].tolist(),
        strict=True,
    )
    return [
        (SIZES[size], TEXTURES[texture], COLOURS[colour], SHAPES[shape])
        for size, texture, colour, shape in indices
    ]
