"""Zero-shot classification as CLIP_benchmark does it: classes are their prompts' mean features.

A set whose pictures show several classes each (`truth: multilabel`) is measured by mean average
precision, any other by accuracies.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from scaling.datasets import Options
from scaling.evals._accuracy import (
    ACCURACIES,
    MEAN_AVERAGE_PRECISION,
    classification_metrics,
    mean_average_precision,
)
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._needed import check_set, knows, prompts_of

if TYPE_CHECKING:
    from scaling.evals._subject import Subject
    from scaling.families import Ability


class ClassificationOptions(Options):
    """Of what, and by which prompts."""

    picture_set: ChosenSet = Field(alias="set")
    templates: tuple[str, ...] = ()
    """Prompts, `{c}` where the class name goes; those of the set, unless given."""

    @field_validator("picture_set")
    @classmethod
    def _set_has_labels(cls, choice: SetChoice) -> SetChoice:
        return knows(choice, "labels", "multilabel")


class ZeroshotClassification:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = ClassificationOptions
    needs: "Ability" = "features"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`."""
        if "multilabel" in options.picture_set.truths:
            return (MEAN_AVERAGE_PRECISION,)
        return ACCURACIES

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        check_set(options.picture_set, sets)

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`."""
        examples = subject.examples(options.picture_set)
        templates = prompts_of(examples, options.templates)
        classes = subject.classifier(examples.class_names, templates)
        seen = subject.seen(examples)
        assert seen.truths.labels is not None
        scores, labels = seen.features @ classes.T, seen.truths.labels
        if labels.ndim == 2:
            return {MEAN_AVERAGE_PRECISION: mean_average_precision(scores, labels)}
        return classification_metrics(scores, labels)


TASK = ZeroshotClassification()
