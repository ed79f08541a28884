"""The orchestrator: turns a plan into recorded measurements, under Ray or in this process.

`run_plan` decides and records; an `Executor` only makes attempts; a `Display` only shows.
Importing this imports neither Ray nor torch, and what is named here only once it is used: workers
live in this package too, and need neither the store nor anything that draws.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaling.orchestrator.budget import Budget, parse_deadline
    from scaling.orchestrator.display import Display, Lines, stderr_display
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
    "parse_deadline",
    "run_plan",
    "stderr_display",
]

_MODULES = {
    "Budget": "budget",
    "Display": "display",
    "Executor": "executor",
    "Lines": "display",
    "LocalExecutor": "local",
    "Order": "order",
    "Outcome": "outcome",
    "Policy": "policy",
    "RayExecutor": "slots",
    "parse_deadline": "budget",
    "run_plan": "run",
    "stderr_display": "display",
}


def __getattr__(name: str) -> Any:
    """A name of `__all__`, from the module that has it (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
