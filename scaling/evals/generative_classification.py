"""Classification by captioning: the likeliest caption given the picture names its class.

The score of a class is that of its captions (`scaling.evals._likelihoods`), one for each template,
averaged over templates. Unless a task says otherwise there is one template, '{c}', and scores are
log-likelihoods, neither divided by a length nor corrected for how likely captions are without the
picture: that is what research code of the reference study's group does by default. Source:
Tschannen et al. 2023 (arXiv:2306.07915), for classes as captions.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, field_validator

from scaling.datasets import Options
from scaling.evals._accuracy import ACCURACIES, classification_metrics
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._likelihoods import Captions, LikelihoodOptions
from scaling.evals._needed import check_set, knows

if TYPE_CHECKING:
    from scaling.evals._subject import Subject
    from scaling.families import Ability


def _names_a_class(template: str) -> str:
    if "{c}" not in template:
        raise ValueError(f"{template!r} has no {{c}} where the class name goes")
    return template


Template = Annotated[str, AfterValidator(_names_a_class)]


class GenerativeOptions(LikelihoodOptions):
    """Of what, and by which captions."""

    picture_set: ChosenSet = Field(alias="set")
    templates: Annotated[tuple[Template, ...], Field(min_length=1)] = ("{c}",)
    """Captions, `{c}` where the class name goes; the score of a class is the mean over them."""

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
        texts = [
            template.replace("{c}", name)
            for name in examples.class_names
            for template in options.templates
        ]
        captions = Captions.of([texts], subject, options)
        scores, labels = [], []
        for batch in subject.batches(examples):
            assert batch.labels is not None
            of_captions = captions.scores(subject, batch.images)
            shape = (len(of_captions), -1, len(options.templates))
            scores.append(of_captions.reshape(shape).mean(axis=2))
            labels.append(batch.labels)
        return classification_metrics(np.concatenate(scores), np.concatenate(labels))


TASK = GenerativeClassification()
