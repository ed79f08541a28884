"""Ends what a driver has left behind: a program of its own, run as `reaper.py MARK [PID]`.

It waits until its standard input closes, which the kernel does when the driver ends, however it
ends; then it kills what was started with MARK, and what is of the Ray session that process PID
began. Free of imports that take time, and of this package's.

Ray ends its processes when a driver is killed, but its agents take a minute over it: they first
try to report to a server that is dead as well (`report_raylet_error_logs` in Ray 2.60).
"""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

_SECONDS = 10.0


def reap(is_ours: Callable[[int], bool]) -> None:
    """Kill all processes that are ours, again until none is left: some start others meanwhile."""
    deadline = time.monotonic() + _SECONDS
    while (found := processes(is_ours)) and time.monotonic() < deadline:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def processes(is_wanted: Callable[[int], bool]) -> list[int]:
    """The wanted ones of all processes; none where there is no `/proc`."""
    names = os.listdir("/proc") if os.path.isdir("/proc") else []
    return [int(name) for name in names if name.isdigit() and is_wanted(int(name))]


def is_marked(pid: int, mark: bytes) -> bool:
    """Whether a process was started with `mark` (`NAME=VALUE`) in its environment."""
    # Of processes of other users nothing can be seen, and nothing is ours.
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environment:
        return mark in environment.read().split(b"\0")
    return False


def is_of_session(pid: int, driver: int) -> bool:
    """Whether a process has a file open of a Ray session that the process `driver` began.

    Ray's agents write their titles over their environments, which may wipe a mark out; but they
    all keep their logs open, in a folder that ends in the driver's number.
    """
    folder = re.compile(rf"/session_[0-9_-]+_{driver}/")
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if folder.search(os.readlink(f"/proc/{pid}/fd/{name}")):
                    return True
    return False


def main(mark: bytes, session: int | None) -> None:
    """Wait for the driver's end, then end the rest."""
    driver = os.getppid()
    while sys.stdin.buffer.read(4096):
        pass
    myself = os.getpid(), driver
    reap(
        lambda pid: (
            pid not in myself
            and (is_marked(pid, mark) or (session is not None and is_of_session(pid, session)))
        )
    )


if __name__ == "__main__":
    main(sys.argv[1].encode(), int(sys.argv[2]) if len(sys.argv) > 2 else None)
