"""Processes of this machine: which are ours, whether they live, and how to end them.

Reads Linux's `/proc`; where there is none, it knows of no process and waits for none.
"""

import os
import signal
import time
from contextlib import suppress
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


def descendants(pid: int) -> list[Process]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[tuple[int, int]]] = {}
    for folder in _PROC.glob("[0-9]*"):
        if status := _status(int(folder.name)):
            children.setdefault(status.parent, []).append((int(folder.name), status.started))
    found, parents = [], [pid]
    while parents:
        for child, started in children.get(parents.pop(), ()):
            found.append(Process(child, started))
            parents.append(child)
    return found


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


def await_end(processes: list[Process], seconds: float) -> list[Process]:
    """Those of `processes` that still live after at most `seconds`."""
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if process.is_alive]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return alive


def kill(processes: list[Process]) -> None:
    """End processes that had their time."""
    for process in processes:
        if process.is_alive:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class _Status:
    parent: int
    started: int
    state: str


def _status(pid: int) -> _Status | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The second field is the name in parentheses, which may hold anything.
    fields = text.rpartition(")")[2].split()
    return _Status(parent=int(fields[1]), started=int(fields[19]), state=fields[0])
