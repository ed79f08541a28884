"""The orchestrator: turns a plan into recorded measurements, under Ray or in this process.

`run_plan` decides and records; an `Executor` only makes attempts; a `Display` only shows.
Importing this imports neither Ray nor torch.
"""

from scaling.orchestrator.display import Display, Lines, display
from scaling.orchestrator.executor import Executor
from scaling.orchestrator.local import LocalExecutor
from scaling.orchestrator.outcome import Outcome
from scaling.orchestrator.run import run_plan
from scaling.orchestrator.slots import RayExecutor

__all__ = [
    "Display",
    "Executor",
    "Lines",
    "LocalExecutor",
    "Outcome",
    "RayExecutor",
    "display",
    "run_plan",
]
