"""How checkpoints are measured: plain data that goes from a grid to where a worker is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scaling.evals._catalogue import CATALOGUE
from scaling.evals._declared import Task
from scaling.evaluation_sets import Broken


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What names of tasks stand for, where their data is, and what is done about broken data."""

    tasks: Mapping[str, Task] = field(default_factory=dict)
    """By name; what is not among them is of the catalogue."""
    sets: Path | None = None
    """The folder of evaluation sets, the same on every machine that measures."""
    broken: Broken = "error"
    """What becomes of a picture that does not decode."""

    def task(self, name: str) -> Task:
        """The task of this name; raises `KeyError`."""
        return self.tasks[name] if name in self.tasks else CATALOGUE[name]
