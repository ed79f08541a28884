"""Processes of this machine: which one it was, and whether it lives.

Reads Linux's `/proc`; where there is none, it knows of no process and waits for none.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: int
    """In clock ticks after the machine's start."""

    @property
    def is_alive(self) -> bool:
        """Whether it runs; a zombie, which only its parent can clear away, does not."""
        status = _status(self.pid)
        return status is not None and status.state != "Z" and status.started == self.started


def started_before(pid: int, moment: float) -> Process | None:
    """The process `pid` if it lives and started before `moment` (seconds since the epoch)."""
    status = _status(pid)
    if status is None:
        return None
    boot = next(
        int(line.split()[1])
        for line in (_PROC / "stat").read_text().splitlines()
        if line.startswith("btime")
    )
    process = Process(pid, status.started)
    # The kernel gives the time of its start in whole seconds.
    begun = boot + status.started / os.sysconf("SC_CLK_TCK")
    return process if process.is_alive and begun <= moment + 1 else None


def await_end(process: Process, seconds: float) -> bool:
    """Whether `process` ends within `seconds`; waits no longer than needed."""
    deadline = time.monotonic() + seconds
    while process.is_alive and time.monotonic() < deadline:
        time.sleep(0.02)
    return not process.is_alive


@dataclass(frozen=True)
class _Status:
    started: int
    state: str


def _status(pid: int) -> _Status | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The second field is the name in parentheses, which may hold anything.
    fields = text.rpartition(")")[2].split()
    return _Status(started=int(fields[19]), state=fields[0])
