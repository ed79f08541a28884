"""Zero-shot classification as CLIP_benchmark does it: classes are their prompts' mean features.

A set whose pictures show several classes each (`truth: multilabel`) is measured by mean average
precision, any other by accuracies; a task may ask for metrics of groups and classes as well.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from scaling.datasets import Options
from scaling.evals._accuracy import (
    ACCURACIES,
    MEAN_AVERAGE_PRECISION,
    classification_metrics,
    mean_average_precision,
)
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._groups import F1_MACRO, WorstGroup, f1_macro, worst_group_accuracies
from scaling.evals._needed import check_set, knows, knows_metadata, prompts_of

if TYPE_CHECKING:
    from scaling.evals._subject import Subject
    from scaling.families import Ability


class ClassificationOptions(Options):
    """Of what, and by which prompts."""

    picture_set: ChosenSet = Field(alias="set")
    templates: tuple[str, ...] = ()
    """Prompts, `{c}` where the class name goes; those of the set, unless given."""
    more_metrics: tuple[Literal["F1-macro_all"], ...] = ()
    """Metrics beside accuracies."""
    worst_groups: Mapping[str, WorstGroup] = Field(default_factory=dict)
    """Names of metrics, and of which groups each is the worst one's accuracy."""

    @field_validator("picture_set")
    @classmethod
    def _set_has_labels(cls, choice: SetChoice) -> SetChoice:
        return knows(choice, "labels", "multilabel")

    @model_validator(mode="after")
    def _metrics_suit_the_set(self) -> Self:
        if "multilabel" in self.picture_set.truths and (self.more_metrics or self.worst_groups):
            raise ValueError("more_metrics and worst_groups are for pictures of one class each")
        taken = {*ACCURACIES, F1_MACRO} & self.worst_groups.keys()
        if taken:
            raise ValueError(f"worst_groups: {min(taken)} is the name of another metric")
        for worst in self.worst_groups.values():
            knows_metadata(self.picture_set, worst.by)
        return self


class ZeroshotClassification:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = ClassificationOptions
    needs: "Ability" = "features"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`."""
        if "multilabel" in options.picture_set.truths:
            return (MEAN_AVERAGE_PRECISION,)
        return (*ACCURACIES, *options.more_metrics, *options.worst_groups)

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
        found = classification_metrics(scores, labels)
        if F1_MACRO in options.more_metrics:
            found[F1_MACRO] = f1_macro(scores, labels)
        if options.worst_groups:
            metadata = seen.truths.metadata or {}
            found |= worst_group_accuracies(options.worst_groups, scores, labels, metadata)
        return found


TASK = ZeroshotClassification()
