"""What tasks ask of the sets that they are declared on."""

from pathlib import Path

from scaling.evals._declared import SetChoice
from scaling.evaluation_sets import EVALUATION_SETS, Truth


def knows(choice: SetChoice, truth: Truth) -> SetChoice:
    """`choice`; raises `ValueError` if such a set does not know `truth` of its pictures."""
    if truth not in choice.truths:
        has = ", ".join(sorted(choice.truths)) or "nothing"
        raise ValueError(f"needs a set with {truth}, and this one has {has}")
    return choice


def check_set(choice: SetChoice, sets: Path | None) -> None:
    """Raise `DataError` if the set is not on this machine."""
    EVALUATION_SETS.get(choice.kind).check(choice.of_kind(), sets)
