"""Classification by captioning: the likeliest caption given the picture names its class.

The score of a class is the log-likelihood of its caption, summed over its tokens: not averaged,
and not corrected by how likely the caption is without a picture. The template is '{c}', as
research code of the reference study's group has it by default. Source: Tschannen et al. 2023
(arXiv:2306.07915).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, field_validator

from scaling.datasets import Options
from scaling.evals._accuracy import ACCURACIES, classification_metrics
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._likelihoods import caption_scores
from scaling.evals._needed import check_set, knows

if TYPE_CHECKING:
    from scaling.evals._subject import Subject
    from scaling.families import Ability


class GenerativeOptions(Options):
    """Of what, and by which caption."""

    picture_set: ChosenSet = Field(alias="set")
    template: str = "{c}"
    """The caption, `{c}` where the class name goes."""

    @field_validator("picture_set")
    @classmethod
    def _set_has_labels(cls, choice: SetChoice) -> SetChoice:
        return knows(choice, "labels")


class GenerativeClassification:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = GenerativeOptions
    needs: "Ability" = "captions"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`."""
        return ACCURACIES

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        check_set(options.picture_set, sets)

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`."""
        examples = subject.examples(options.picture_set)
        captions = [options.template.replace("{c}", name) for name in examples.class_names]
        scores, labels = [], []
        for batch in subject.batches(examples):
            assert batch.labels is not None
            scores.append(caption_scores(subject, batch.images, captions))
            labels.append(batch.labels)
        return classification_metrics(np.concatenate(scores), np.concatenate(labels))


TASK = GenerativeClassification()
