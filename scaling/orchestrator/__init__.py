"""The orchestrator: turns a plan into recorded measurements, under Ray or in this process.

`run_plan` decides and records; an `Executor` only makes attempts; a `Display` only shows.
Importing this imports neither Ray nor torch.
"""

from scaling.orchestrator.budget import Budget, parse_deadline
from scaling.orchestrator.display import Display, Lines, display
from scaling.orchestrator.executor import Executor
from scaling.orchestrator.local import LocalExecutor
from scaling.orchestrator.order import Order
from scaling.orchestrator.outcome import Outcome
from scaling.orchestrator.policy import Policy
from scaling.orchestrator.run import run_plan
from scaling.orchestrator.slots import RayExecutor

__all__ = [
    "Budget",
    "Display",
    "Executor",
    "Lines",
    "LocalExecutor",
    "Order",
    "Outcome",
    "Policy",
    "RayExecutor",
    "display",
    "parse_deadline",
    "run_plan",
]
