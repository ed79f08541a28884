"""Evaluation sets of the embedded dataset: fixed, clean, disjoint from every training stream."""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scaling.datasets._shapes.captions import write_captions
from scaling.datasets._shapes.pictures import masks, render
from scaling.datasets._shapes.scenes import Ints, Key, Stage, draw_scenes
from scaling.vocabulary import COLOURS, SHAPES

CLASS_NAMES = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
"""The 100 classes of zero-shot classification, at their labels."""

_CLASSIFICATION = Key(seed=0, held_out=True)
_RETRIEVAL = Key(seed=1, held_out=True)
_SEGMENTATION = {"training": Key(seed=2, held_out=True), "scored": Key(seed=3, held_out=True)}

PIXEL_CLASSES = ("background", *SHAPES)
"""What a pixel may show, at the values of masks."""


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


@lru_cache(maxsize=4)
def masked_images(
    half: Literal["training", "scored"], count: int, image_size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures as in training, and what each of their pixels shows; the halves share nothing."""
    key = _SEGMENTATION[half]
    scenes = draw_scenes(key.generator(Stage.SCENES, 0), count)
    images = render(scenes, image_size, key.generator(image_size, 0))
    return images, masks(scenes, image_size)
