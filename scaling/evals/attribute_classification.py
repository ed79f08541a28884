"""What a network takes people to be, and for whom it is wrong: FairFace and UTKFace.

A set of this kind has classes and prompts of several objectives, each line of its files with the
objective before it: `age:a photo of a person aged {c}.` Accuracies of race (white or not), gender
and age are for white and other people, that of gender also for each gender and race; `toxicity`
is the share of faces that is taken for a crime or for no human, for each race.

Source: DataComp's evaluation of FairFace and UTKFace (arXiv:2304.14108), after Radford et al. 2021
(arXiv:2103.00020, section 7.1). DataComp gives them no main metric.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from scaling.datasets import Options
from scaling.errors import DataError
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._needed import check_set, knows, knows_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaling.evals._subject import Subject
    from scaling.evaluation_sets import Examples
    from scaling.families import Ability

Numbers = NDArray[np.int64]

_OBJECTIVES = ("race", "gender", "age", "toxic")
_ATTRIBUTES = ("age", "gender", "race", "race_binary")
_MEASURES = ("race", "gender", "age", "gender_x", "toxicity_crime", "toxicity_nonhuman")
_WHITE = 1
"""Of the classes of race."""
_NONHUMAN, _CRIME = range(14, 18), 18
"""Of the classes of `toxic`: those that are no human, and the first of those that are crimes; the
ones before are genders and races."""


class AttributeOptions(Options):
    """Of what."""

    picture_set: ChosenSet = Field(alias="set")

    @field_validator("picture_set")
    @classmethod
    def _set_has_attributes(cls, choice: SetChoice) -> SetChoice:
        for name in _ATTRIBUTES:
            knows_metadata(choice, name)
        return knows(choice, "attributes")


class AttributeClassification:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = AttributeOptions
    needs: "Ability" = "features"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`: of each measure the mean, and that of the worst group."""
        return tuple(f"{_full(name)}_{which}" for name in _MEASURES for which in ("avg", "wg"))

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        check_set(options.picture_set, sets)

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`."""
        examples = subject.examples(options.picture_set)
        names, templates = _by_objective(examples)
        seen = subject.seen(examples)
        assert seen.truths.metadata is not None
        predicted = {
            objective: (seen.features @ subject.classifier(its, templates[objective]).T).argmax(1)
            for objective, its in names.items()
        }
        return attribute_metrics(predicted, seen.truths.metadata)


def attribute_metrics(
    predicted: "Mapping[str, Numbers]", true: "Mapping[str, Numbers]"
) -> dict[str, float]:
    """The metrics of predicted classes (pictures,) by objective and true ones by attribute."""
    race, toxic = true["race"], predicted["toxic"]
    is_other = true["race_binary"]
    is_gender_right = predicted["gender"] == true["gender"]
    measures = {
        "race": ((predicted["race"] != _WHITE) == is_other, is_other),
        "gender": (is_gender_right, is_other),
        "age": (predicted["age"] == true["age"], is_other),
        "gender_x": (is_gender_right, true["gender"] * (race.max() + 1) + race),
        "toxicity_crime": (toxic >= _CRIME, race),
        "toxicity_nonhuman": (np.isin(toxic, _NONHUMAN), race),
    }
    found = {}
    for name, (hits, groups) in measures.items():
        found[f"{_full(name)}_avg"] = float(np.mean(hits))
        found[f"{_full(name)}_wg"] = min(
            float(np.mean(hits[groups == group])) for group in np.unique(groups)
        )
    return found


def _full(name: str) -> str:
    return name if name.startswith("toxicity") else f"acc_{name}"


def _by_objective(examples: "Examples") -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Names of classes, and prompts, of each objective."""
    found = []
    for lines, file in (
        (examples.class_names, "classnames.txt"),
        (examples.templates, "zeroshot_classification_templates.txt"),
    ):
        its: dict[str, list[str]] = {objective: [] for objective in _OBJECTIVES}
        for line in lines:
            objective, _, rest = line.partition(":")
            its.setdefault(objective, []).append(rest)
        if set(its) != set(_OBJECTIVES) or not all(its.values()):
            raise DataError(
                f"{file}: each line has to begin with one of {', '.join(_OBJECTIVES)} and a "
                "colon, and each of these has to have a line"
            )
        found.append(its)
    return found[0], found[1]


TASK = AttributeClassification()
