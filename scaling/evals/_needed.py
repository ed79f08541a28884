"""What tasks ask of the sets that they are declared on."""

from collections.abc import Sequence
from pathlib import Path

from scaling.errors import DataError, unknown
from scaling.evals._declared import SetChoice
from scaling.evaluation_sets import EVALUATION_SETS, Examples, Truth


def knows(choice: SetChoice, *truths: Truth) -> SetChoice:
    """`choice`; raises `ValueError` if such a set knows none of `truths` of its pictures."""
    if choice.truths.isdisjoint(truths):
        has = ", ".join(sorted(choice.truths)) or "nothing"
        raise ValueError(f"needs a set with {' or '.join(truths)}, and this one has {has}")
    return choice


def knows_metadata(choice: SetChoice, name: str) -> None:
    """Raise `ValueError` if such a set does not know `name` of its pictures."""
    if name not in choice.metadata:
        raise ValueError(
            unknown("name in the set's metadata", name, choice.metadata)
            + "; declare it, e.g. metadata: {region: 0}"
        )


def check_set(choice: SetChoice, sets: Path | None) -> None:
    """Raise `DataError` if the set is not on this machine."""
    EVALUATION_SETS.get(choice.kind).check(choice.of_kind(), sets)


def prompts_of(examples: Examples, templates: Sequence[str]) -> Sequence[str]:
    """`templates`, or else those of the set; raises `DataError` if there are none."""
    if found := templates or examples.templates:
        return found
    raise DataError(
        "the evaluation set has no zeroshot_classification_templates.txt; say `templates:` in the "
        'task, e.g. ["a photo of a {c}."]'
    )
