"""Which pictures a word brings to mind: as many as people chose, the most similar to its prompt.

The score of an instance is the Jaccard index of the chosen and the predicted pictures. Source:
DataComp's evaluation of WinoGAViL (arXiv:2304.14108; Bitton et al. 2022, arXiv:2207.12576).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from scaling.datasets import Options
from scaling.errors import DataError
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._needed import check_set, knows

if TYPE_CHECKING:
    from scaling.evals._subject import Features, Subject
    from scaling.evaluation_sets import AssociatedExamples, Association
    from scaling.families import Ability

_CANDIDATES = {
    "avg_jaccard_score": range(1, 1000),
    "jaccard_score_5": range(5, 6),
    "jaccard_score_6": range(6, 7),
    "jaccard_score_10": range(10, 11),
    "jaccard_score_12": range(12, 13),
    "jaccard_score_5-6": range(1, 7),
    "jaccard_score_10-12": range(10, 1000),
}
"""Of how many candidates the instances are whose mean score a metric is."""


class AssociationTaskOptions(Options):
    """Of what."""

    picture_set: ChosenSet = Field(alias="set")

    @field_validator("picture_set")
    @classmethod
    def _set_has_associations(cls, choice: SetChoice) -> SetChoice:
        return knows(choice, "associations")


class ImageAssociation:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = AssociationTaskOptions
    needs: "Ability" = "features"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`."""
        return tuple(_CANDIDATES)

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        check_set(options.picture_set, sets)

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`; what has a picture that was left out is left out, too."""
        examples = cast("AssociatedExamples", subject.examples(options.picture_set))
        seen = subject.seen(examples)
        assert seen.truths.metadata is not None
        row = {number: n for n, number in enumerate(seen.truths.metadata["picture"].tolist())}
        whole = [each for each in examples.associations if row.keys() >= {*each.candidates}]
        if not whole:
            raise DataError("no association is left that has all of its pictures")
        texts = subject.text_features([prompt_of(each.cue) for each in whole])
        scores = [
            jaccard(each, seen.features[[row[n] for n in each.candidates]] @ text)
            for each, text in zip(whole, texts, strict=True)
        ]
        return _means(np.array(scores), np.array([len(each.candidates) for each in whole]))


def prompt_of(cue: str) -> str:
    """`cue` in small letters, with the article that its first letter asks for."""
    cue = cue.lower()
    return f"{'An' if cue[0] in 'aeiou' else 'A'} {cue}"


def jaccard(association: "Association", scores: "Features") -> float:
    """Chosen and predicted / chosen or predicted, of scores (candidates,); ties go by index."""
    is_chosen = np.array(association.is_chosen)
    order = np.argsort(-scores, kind="stable")
    is_predicted = np.zeros_like(is_chosen)
    is_predicted[order[: is_chosen.sum()]] = True
    return float((is_chosen & is_predicted).sum() / (is_chosen | is_predicted).sum())


def _means(scores: NDArray[np.float64], candidates: NDArray[np.int64]) -> dict[str, float]:
    within = {name: np.isin(candidates, list(counts)) for name, counts in _CANDIDATES.items()}
    return {name: float(scores[rows].mean()) for name, rows in within.items() if rows.any()}


TASK = ImageAssociation()
