"""What a check finds: how bad it is, what, where, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    FINE = "fine"
    """As it should be, or nothing to do about: tells what there is."""
    WARNING = "warning"
    """Results stand, but somebody may want to know."""
    PROBLEM = "problem"
    """Something is lost, wrong, or will not work."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check has found."""

    level: Level
    what: str
    where: str
    """A file, a folder, a row or a variable."""
    remedy: str = ""
    """What to do; nothing for what is fine."""


def fine(what: str, where: str) -> Finding:
    """Something that is as it should be."""
    return Finding(Level.FINE, what, where)


def warning(what: str, where: str, remedy: str) -> Finding:
    """Something that harms no result."""
    return Finding(Level.WARNING, what, where, remedy)


def problem(what: str, where: str, remedy: str) -> Finding:
    """Something that is lost, wrong, or will not work."""
    return Finding(Level.PROBLEM, what, where, remedy)


def some(names: list[str], at_most: int = 3) -> str:
    """The first of `names`, and how many more there are."""
    more = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {more:,} more" if more > 0 else "")
