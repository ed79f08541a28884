"""How a run goes about its work."""

from dataclasses import dataclass

from scaling.orchestrator.budget import Budget
from scaling.orchestrator.order import Order


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Choices about a run that change no result: what is tried, in which order, how much of it."""

    retry: bool = False
    """Give trials that failed another chance."""
    order: Order = "critical-path"
    """Which trials start first."""
    budget: Budget = Budget()  # noqa: RUF009  # frozen
    """No trial starts that cannot reach its next checkpoint within it."""
    stall_seconds: float = 600.0
    """How long training may stand still before the trial counts as hung; other phases may take
    multiples of it (`scaling.orchestrator.stalls`)."""
    grace_seconds: float = 60.0
    """After a request to stop: how long trials may take to save where they are."""
