"""The embedded evaluation set: pictures that no training stream can hold, drawn when needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scaling.datasets import Options
from scaling.evaluation_sets import Batch, Broken, Half, Picture, Truth
from scaling.families._images import CLIP_FRAMING, Framing
from scaling.vocabulary import with_article

_BATCH_SIZE = 256

Content = Literal["classes", "captions", "masks"]

_TRUTHS: dict[Content, Truth] = {"classes": "labels", "captions": "captions", "masks": "masks"}


class ShapesOptions(Options):
    """Which pictures, and how many."""

    content: Content
    """`classes`: one object each, as many of each of the 100 classes (shape x colour);
    `captions`: scenes as in training; `masks`: such scenes, and the shape at each pixel."""
    count: Annotated[int, Field(ge=1, le=100_000)]
    """Pictures; of classes, a multiple of 100."""
    captions_each: Annotated[int, Field(ge=1, le=100)] = 5
    """True captions of each scene."""
    training: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Of masks: other such pictures, to fit a head to; `count` are scored."""


class ShapesExamples:
    """See `scaling.evaluation_sets.Examples`."""

    def __init__(self, options: ShapesOptions) -> None:
        """Nothing is drawn yet."""
        self._options = options
        self.identity = f"shapes-{options.content}-{options.count}-{options.captions_each}"
        if options.content == "masks":
            self.identity += f"-{options.training}"
        self.skipped = 0

    @property
    def class_names(self) -> Sequence[str]:
        """See `Examples.class_names`; those of pictures with their article."""
        from scaling.datasets._shapes.held_out import CLASS_NAMES, PIXEL_CLASSES

        if self._options.content != "classes":
            return PIXEL_CLASSES if self._options.content == "masks" else ()
        return tuple(with_article(name) for name in CLASS_NAMES)

    @property
    def templates(self) -> Sequence[str]:
        """See `Examples.templates`."""
        is_named = self._options.content == "classes"
        return ("{c}", "photo of {c}", "picture of {c}") if is_named else ()

    def pictures(self, half: Half, image_size: int) -> "DrawnPictures":
        """See `MaskedExamples.pictures`."""
        from scaling.datasets._shapes.held_out import masked_images

        options = self._options
        count = options.training if half == "training" else options.count
        return DrawnPictures(*masked_images(half, count, image_size))

    def batches(self, image_size: int, framing: Framing = CLIP_FRAMING) -> Iterator[Batch]:
        """See `Examples.batches`."""
        for whole in (self._whole(image_size),):
            count = len(whole.images)
            for rows in (slice(n, n + _BATCH_SIZE) for n in range(0, count, _BATCH_SIZE)):
                yield Batch(
                    whole.images[rows],
                    None if whole.labels is None else whole.labels[rows],
                    None if whole.captions is None else whole.captions[rows],
                    None if whole.masks is None else whole.masks[rows],
                )

    def _whole(self, image_size: int) -> Batch:
        from scaling.datasets._shapes.held_out import (
            CLASS_NAMES,
            captioned_images,
            classified_images,
            masked_images,
        )

        options = self._options
        if options.content == "classes":
            images, labels = classified_images(options.count // len(CLASS_NAMES), image_size)
            return Batch(images, labels=labels)
        if options.content == "masks":
            images, masks = masked_images("scored", options.count, image_size)
            return Batch(images, masks=masks)
        images, captions, _ = captioned_images(options.count, options.captions_each, image_size)
        own = tuple(tuple(captions[n :: options.count]) for n in range(options.count))
        return Batch(images, captions=own)


class DrawnPictures:
    """See `scaling.evaluation_sets.Pictures`."""

    def __init__(self, images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> None:
        """(count, S, S, 3) and (count, S, S)."""
        self._images, self._masks = images, masks

    def __len__(self) -> int:
        """See `Pictures`."""
        return len(self._images)

    def __getitem__(self, position: int, /) -> Picture:
        """See `Pictures`."""
        return Picture(self._images[position], self._masks[position])


class Shapes:
    """See `scaling.evaluation_sets.EvaluationSet`."""

    options: type[Options] = ShapesOptions

    def truths(self, options: Options) -> frozenset[Truth]:
        """See `EvaluationSet.truths`."""
        assert isinstance(options, ShapesOptions)
        return frozenset({_TRUTHS[options.content]})

    def check(self, options: Options, folder: Path | None) -> None:
        """Nothing is needed."""

    def open(
        self, options: Options, folder: Path | None, broken: Broken = "error"
    ) -> ShapesExamples:
        """See `EvaluationSet.open`."""
        assert isinstance(options, ShapesOptions)
        return ShapesExamples(options)


SET = Shapes()
