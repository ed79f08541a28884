"""A task measured on a network: its values, and what they were measured on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scaling.evals._declared import Task
    from scaling.evals._subject import Subject


class Measured(NamedTuple):
    """What a task found, and on which pictures."""

    values: Mapping[str, float]
    """By metric."""
    evaluation_set: str | None
    """The identity of the set or sets that were read; None if there was none."""
    skipped_images: int | None
    """Pictures of them that did not decode and were left out, as that was allowed."""


def measure(task: "Task", subject: "Subject") -> Measured:
    """`task` measured on `subject`; raises `DataError` or `NotFiniteError`."""
    subject.asked.clear()
    values = task.of_kind.measure(task.choices(), subject)
    # Features that an earlier task asked for were read once; the set was asked for here as well.
    sets = {examples.identity: examples.skipped for examples in subject.asked}
    if not sets:
        return Measured(values, None, None)
    return Measured(values, "+".join(sets), sum(sets.values()))
