"""What a user can do wrong, as exceptions; everything else that is raised is a bug.

ScalingError
├── GridError       a grid file that cannot be read or does not make sense
├── DataError       data that is missing or cannot be read
├── StoreError      a store that is empty, in use, or not ours
├── StorageError    a place for checkpoints that cannot be used, or does not answer
├── NoRoomError     a disk without room for what is to be written; there may be some later
└── ResourceError   a request that this machine or cluster can never satisfy
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


class ScalingError(Exception):
    """A mistake that the user can mend; its message says how. Exit code 2, no traceback."""


class DataError(ScalingError):
    """A dataset or an evaluation set is missing or cannot be read."""


class StoreError(ScalingError):
    """The store is empty, in use by another driver, or was written by something else."""


class StorageError(ScalingError):
    """A place for checkpoints cannot be used, or does not answer, or has lost one."""


class NoRoomError(ScalingError):
    """A disk has no room for what is to be written; there may be some later."""


class ResourceError(ScalingError):
    """A request that the machine or the cluster can never satisfy."""


class GridError(ScalingError):
    """Everything that is wrong with a grid, at once."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        """Name the `source` (a file) and list its `problems`, each 'key.path: what is wrong'."""
        self.source = source
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"{source}: {count}", *problems]))

    def __reduce__(self) -> tuple[type["GridError"], tuple[str, tuple[str, ...]]]:
        """Survive pickling, which Ray does to exceptions."""
        return (GridError, (self.source, self.problems))


class OptionsError(ValueError):
    """What is wrong with the options of one kind of dataset, evaluation set or task."""

    def __init__(self, error: "ValidationError", model: "type[BaseModel]") -> None:
        """`model` is what validated them."""
        self.errors = error.errors()
        self.model = model
        super().__init__(str(error))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence about an unknown name: what it is, the nearest known one, all known ones."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"unknown {kind} {name!r}{hint} (known: {shown or 'none'})"
