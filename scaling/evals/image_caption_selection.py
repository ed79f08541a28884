"""Which caption goes with which picture, among few that are alike: Winoground, SugarCrepe.

A group's pictures and texts are compared by the similarity of their features, as CLIP_benchmark's
task of this name does it.
"""

from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from scaling.datasets import Options
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._needed import check_set, knows
from scaling.evals._selection import SELECTION, groups_of, selection_metrics

if TYPE_CHECKING:
    from scaling.evals._subject import Subject
    from scaling.families import Ability


class SelectionOptions(Options):
    """Among what."""

    picture_set: ChosenSet = Field(alias="set")

    @field_validator("picture_set")
    @classmethod
    def _set_has_choices(cls, choice: SetChoice) -> SetChoice:
        return knows(choice, "choices")


class ImageCaptionSelection:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = SelectionOptions
    needs: "Ability" = "features"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`."""
        return SELECTION

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        check_set(options.picture_set, sets)

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`."""
        seen = subject.seen(subject.examples(options.picture_set))
        groups = groups_of(seen.truths)
        texts = subject.text_features([text for group in groups for text in group.texts])
        ends = list(accumulate(len(group.texts) for group in groups))
        return selection_metrics(
            [
                seen.features[group.rows] @ texts[end - len(group.texts) : end].T
                for group, end in zip(groups, ends, strict=True)
            ]
        )


TASK = ImageCaptionSelection()
