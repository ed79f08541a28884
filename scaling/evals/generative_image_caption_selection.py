"""Which caption goes with which picture, by how likely a captioner finds each caption.

The scores of a group are those of each of its texts given each of its pictures
(`scaling.evals._likelihoods`), which take the place of similarities in `image_caption_selection`.
A correction for what captions are like without a picture changes which text is chosen, and never
which picture. The reference study's task of this name is not public; this is the
definition of Lin et al. 2023 (arXiv:2306.01879).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from scaling.datasets import Options
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._likelihoods import Captions, LikelihoodOptions
from scaling.evals._needed import check_set, knows
from scaling.evals._selection import SELECTION, groups_of, selection_metrics
from scaling.evaluation_sets import Batch
from scaling.evaluation_sets._batches import joined

if TYPE_CHECKING:
    from scaling.evals._subject import Subject
    from scaling.families import Ability


class GenerativeSelectionOptions(LikelihoodOptions):
    """Among what, and by which likelihood."""

    picture_set: ChosenSet = Field(alias="set")

    @field_validator("picture_set")
    @classmethod
    def _set_has_choices(cls, choice: SetChoice) -> SetChoice:
        return knows(choice, "choices")


class GenerativeImageCaptionSelection:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = GenerativeSelectionOptions
    needs: "Ability" = "captions"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`."""
        return SELECTION

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        check_set(options.picture_set, sets)

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`."""
        scores: list[NDArray[np.float32]] = []
        truths: list[Batch] = []
        for batch in subject.batches(subject.examples(options.picture_set)):
            scores.extend(_scores(batch, subject, options))
            truths.append(batch._replace(images=batch.images[:0]))
        groups = groups_of(joined(truths))
        return selection_metrics([np.stack(scores[group.rows]) for group in groups])


def _scores(
    batch: Batch, subject: "Subject", options: LikelihoodOptions
) -> list[NDArray[np.float32]]:
    """Of the texts of each picture; pictures with as many texts are computed together."""
    assert batch.captions is not None
    counts = np.array([len(texts) for texts in batch.captions])
    found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(counts)
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        captions = Captions.of([batch.captions[row] for row in rows], subject, options)
        for row, scores in zip(rows, captions.scores(subject, batch.images[rows]), strict=True):
            found[row] = scores
    return found


TASK = GenerativeImageCaptionSelection()
