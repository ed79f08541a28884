"""Evaluation sets of the embedded dataset: fixed, clean, disjoint from every training stream."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._shapes.captions import write_captions
from scaling.datasets._shapes.pictures import render
from scaling.datasets._shapes.scenes import Ints, Key, Stage, draw_scenes
from scaling.vocabulary import COLOURS, SHAPES

CLASS_NAMES = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
"""The 100 classes of zero-shot classification, at their labels."""

_CLASSIFICATION = Key(seed=0, held_out=True)
_RETRIEVAL = Key(seed=1, held_out=True)


@lru_cache(maxsize=4)
def classified_images(per_class: int, image_size: int) -> tuple[NDArray[np.uint8], Ints]:
    """Pictures of one object each, `per_class` of every class, and their labels."""
    labels = np.arange(per_class * len(CLASS_NAMES)) % len(CLASS_NAMES)
    scenes = draw_scenes(_CLASSIFICATION.generator(Stage.SCENES, 0), len(labels))
    scenes.shapes_N2[:, 0] = labels // len(COLOURS)
    scenes.colours_N2[:, 0] = labels % len(COLOURS)
    scenes.has_second_N[:] = False
    return render(scenes, image_size, _CLASSIFICATION.generator(image_size, 0)), labels


@lru_cache(maxsize=4)
def captioned_images(
    count: int, captions_each: int, image_size: int
) -> tuple[NDArray[np.uint8], list[str], Ints]:
    """Pictures as in training, true captions for each, and the picture that each belongs to."""
    scenes = draw_scenes(_RETRIEVAL.generator(Stage.SCENES, 0), count)
    images = render(scenes, image_size, _RETRIEVAL.generator(image_size, 0))
    captions = [
        caption
        for block in range(captions_each)
        for caption in write_captions(scenes, _RETRIEVAL.generator(Stage.CAPTIONS, block))
    ]
    return images, captions, np.tile(np.arange(count), captions_each)
