"""The states of a trial, and how an attempt at one ends."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class TrialState(StrEnum):
    """Where a trial stands; the store is the queue, so this is also what remains to be done."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    """Everything that was last asked of it is recorded; a plan may ask for more."""
    FAILED = "failed"
    DIVERGED = "diverged"
    BLOCKED = "blocked"
    """A cooldown whose trunk failed before the branch point, or is another one by now."""
    STOPPED = "stopped"
    """A member of a sweep that others left behind; it has no result."""
    IMPORTED = "imported"


class FailureKind(StrEnum):
    """Why a trial failed, which decides whether trying again can help."""

    BUG = "bug"
    SETUP = "setup"
    """Data or a file is missing, which the user can mend."""
    NO_ROOM = "no-room"
    """The disk had no room for a checkpoint or a result, again and again."""
    OOM = "oom"
    DIVERGED = "diverged"
    INFRA = "infra"
    """The worker died, again and again without progress."""
    HANG = "hang"
    """No step for too long, again and again."""
    PREEMPTED = "preempted"
    """Asked to stop again and again before it could do anything."""
    REFUSED = "refused"
    """The store refused what it yielded, e.g. a second value for a measurement."""
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Failure:
    """Why a trial is failed, diverged or blocked."""

    kind: FailureKind
    text: str
    """For people: what happened and where to look."""


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, and what that makes of its trial."""

    outcome: str
    """done, failed, diverged, died (the worker), oom (again with less at once), hung, preempted
    (stopped where it had saved), interrupted (stopped where it had not: Ctrl-C, or a budget of
    time that ended), paused (at a checkpoint, the next being beyond a budget) or lost (the
    driver)."""
    state: TrialState
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class OpenAttempt:
    """An attempt that never ended."""

    number: int
    started: str
    host: str | None
    pid: int | None
    """None where the driver died before the process had said who it is."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """The process that makes an attempt."""

    host: str
    pid: int
    versions: dict[str, Any]
    """Of everything that may change a result: torch, ray, open_clip, timm, python, scaling, the
    device; and `execution`, how it was asked to compute."""
