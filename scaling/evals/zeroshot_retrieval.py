"""Retrieval among pictures and their captions, several captions a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, field_validator

from scaling.datasets import Options
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._needed import check_set, knows
from scaling.evals._retrieval import retrieval_metrics

if TYPE_CHECKING:
    from scaling.evals._subject import Subject
    from scaling.families import Ability


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class RetrievalOptions(Options):
    """Among what, and how far down the list."""

    picture_set: ChosenSet = Field(alias="set")
    k: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), BeforeValidator(_listed)
    ] = (5,)
    """A hit is among the first so many; several numbers are several pairs of metrics."""

    @field_validator("picture_set")
    @classmethod
    def _set_has_captions(cls, choice: SetChoice) -> SetChoice:
        return knows(choice, "captions")


class ZeroshotRetrieval:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = RetrievalOptions
    needs: "Ability" = "features"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`."""
        return tuple(f"{way}_retrieval_recall@{k}" for k in options.k for way in ("image", "text"))

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        check_set(options.picture_set, sets)

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`."""
        seen = subject.seen(subject.examples(options.picture_set))
        assert seen.truths.captions is not None
        captions = [caption for own in seen.truths.captions for caption in own]
        image_of_caption = np.repeat(
            np.arange(len(seen.features)), [len(own) for own in seen.truths.captions]
        )
        texts = subject.text_features(captions)
        return retrieval_metrics(seen.features, texts, image_of_caption, options.k)


TASK = ZeroshotRetrieval()
