"""The training losses of a family on pairs that are in no training set; lower is better.

The contrastive loss compares each picture with the texts of its batch, so that it is a number for
one batch size: `batch_size` is part of the task. It is the family's own: SigLIP's is another
function than CLIP's, and they are not to be compared. The caption loss is the mean over tokens.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from scaling.datasets import DATASETS, Options, Samples
from scaling.errors import DataError
from scaling.evals._declared import ChosenSet, choice_of_kind
from scaling.evals._needed import check_set, knows
from scaling.families._images import CLIP_FRAMING
from scaling.trial import Data
from scaling.units import parse_count

if TYPE_CHECKING:
    from scaling.evals._subject import Subject
    from scaling.families import Ability


def _data(value: object) -> object:
    if isinstance(value, Data):
        return value
    kind, options = choice_of_kind(value, DATASETS, "webdataset")
    return Data(kind=kind, options=options)


ChosenData = Annotated[
    Data,
    BeforeValidator(_data),
    PlainSerializer(lambda data: {"kind": data.kind, **data.options}),
]


class LossesOptions(Options):
    """On which pairs: the captioned pictures of an evaluation set, or the first of a stream."""

    picture_set: ChosenSet | None = Field(default=None, alias="set")
    """An evaluation set with captions, of which each picture's first is taken."""
    data: ChosenData | None = None
    """Or what a training set could be, `{kind: webdataset, shards: ..., crop: center}`."""
    samples: Annotated[int, BeforeValidator(parse_count), Field(gt=0)] | None = None
    """With `data`: how many, from its beginning in the order of seed 0."""
    batch_size: Annotated[int, Field(ge=2)] = 256
    """Pairs that are compared with each other; pairs that fill no batch are left out."""

    @model_validator(mode="after")
    def _pairs_come_from_one_place(self) -> "LossesOptions":
        if (self.picture_set is None) == (self.data is None):
            raise ValueError("give it either set or data, e.g. set: {kind: shapes, ...}")
        if self.picture_set is not None:
            knows(self.picture_set, "captions")
        if (self.samples is None) != (self.data is None):
            raise ValueError("samples: belongs to data, which it says how much of to take")
        if self.samples is not None and self.samples < self.batch_size:
            raise ValueError(f"{self.samples} samples are less than a batch of {self.batch_size}")
        return self


class Losses:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = LossesOptions
    needs: "Ability | None" = None

    def metrics(self, options: Any) -> tuple[str, ...]:
        """Of which a family has one or both."""
        return ("contrastive_loss", "caption_loss")

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        if options.picture_set is not None:
            check_set(options.picture_set, sets)
        else:
            kind = DATASETS.get(options.data.kind)
            kind.check(kind.options.model_validate(options.data.options))

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`."""
        found = [
            _losses(subject, images, captions) for images, captions in _batches(options, subject)
        ]
        if not found:
            raise DataError(f"the set has less than a batch of {options.batch_size} pictures")
        return {f"{name}_loss": float(np.mean([one[name] for one in found])) for name in found[0]}


def _losses(
    subject: "Subject", images: NDArray[np.uint8], captions: tuple[str, ...]
) -> dict[str, float]:
    """Each loss term of a batch, without the recipe's weights."""
    import torch

    from scaling.families import World
    from scaling.families._tokenizers import tokenize

    tokens = torch.from_numpy(tokenize(captions, subject.config)).to(subject.device)
    with subject.computing():
        outputs = subject.network(subject.inputs(images), tokens)
        terms = dict(subject.family.batch_losses(outputs.features, outputs.scalars, World()))
        counts = subject.family.counts(tokens)
        terms |= {name: total / counts[name] for name, total in outputs.sums.items()}
    return {name: float(term) for name, term in terms.items()}


def _batches(
    options: LossesOptions, subject: "Subject"
) -> Iterator[tuple[NDArray[np.uint8], tuple[str, ...]]]:
    """Whole batches of pictures and one caption each."""
    images: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    for part in _parts(options, subject):
        images.extend(part.images)
        captions.extend(part.captions)
        while len(images) >= options.batch_size:
            yield np.stack(images[: options.batch_size]), tuple(captions[: options.batch_size])
            del images[: options.batch_size], captions[: options.batch_size]


def _parts(options: LossesOptions, subject: "Subject") -> Iterator[Samples]:
    if options.picture_set is not None:
        for batch in subject.batches(subject.examples(options.picture_set)):
            assert batch.captions is not None
            yield Samples(batch.images, [own[0] for own in batch.captions])
        return
    assert options.data is not None
    assert options.samples is not None
    if subject.preprocessing.framing != CLIP_FRAMING:
        raise DataError(
            "data: is read as training reads it, and this network expects pictures that are "
            f"made square by {subject.preprocessing.framing}; give the task a set instead"
        )
    kind = DATASETS.get(options.data.kind)
    stream = kind.open(kind.options.model_validate(options.data.options), seed=0)
    whole = options.samples // options.batch_size * options.batch_size
    for first in range(0, whole, options.batch_size):
        yield stream.read(first, options.batch_size, subject.config.image_size)
    if stream.skipped and subject.evaluation.broken == "error":
        raise DataError(
            f"{stream.skipped} of the samples are broken; with `broken_images: skip` others take "
            "their places"
        )


TASK = Losses()
