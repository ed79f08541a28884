"""Drivers of real runs in processes of their own, and everything that they began."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from scaling.orchestrator.reaper import is_marked, is_of_session, processes


class Drivers:
    """Starts `scaling run` again each time that it was killed, one driver at a time."""

    def __init__(self, grid: Path, db: Path, *, within: Sequence[str] = ()) -> None:
        """`within` is a command that runs another one, somewhere else."""
        self._command = [*within, sys.executable, "-m", "scaling", "run", str(grid)]
        self._command += ["--db", str(db)]
        self._db = db
        self._folder = grid.parent
        self._driver: subprocess.Popen[bytes] | None = None
        self._drivers: list[int] = []
        # Whatever a driver starts inherits its environment, and so can be found.
        self._mark = f"SCALING_TEST_MARK={uuid.uuid4()}"

    def running(self) -> "subprocess.Popen[bytes]":
        """The driver, started if there is none."""
        if self._driver is None:
            name, _, value = self._mark.partition("=")
            # A file: a pipe stays open until the last heir of a killed driver is gone.
            with self._said(len(self._drivers)).open("wb") as said:
                self._driver = subprocess.Popen(
                    self._command, env={**os.environ, name: value}, stdout=said, stderr=said
                )
            self._drivers.append(self._driver.pid)
        return self._driver

    def kill(self) -> None:
        """End the driver, which has no time to say anything."""
        self.running().kill()
        self.await_end()

    def await_end(self, seconds: float = 300) -> int:
        """The exit code of the driver, once it has ended by itself."""
        code = self.running().wait(timeout=seconds)
        self._driver = None
        return code

    def finish(self) -> str:
        """Let a run end by itself; what it printed."""
        code = self.await_end()
        assert code == 0, self.said()[-1]
        return self.said()[-1]

    def said(self) -> list[str]:
        """What each driver printed."""
        return [self._said(number).read_text() for number in range(len(self._drivers))]

    def leftovers(self, seconds: float = 5.0) -> list[int]:
        """Processes that any of the drivers began and that are alive after a moment."""
        deadline = time.monotonic() + seconds
        while (alive := processes(self.is_ours)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return alive

    def close(self) -> None:
        """Leave nothing behind, even after a test that failed."""
        if self._driver:
            self.kill()
        for pid in self.leftovers():
            kill(pid)

    def workers(self) -> list[int]:
        """Processes that make an attempt right now."""
        with suppress(sqlite3.OperationalError):
            pids = query(self._db, "SELECT pid FROM attempt WHERE ended IS NULL AND pid NOT NULL")
            return sorted({pid for (pid,) in pids if self.is_ours(pid)})
        return []

    def is_ours(self, pid: int) -> bool:
        """Whether any of the drivers began a process: by its environment or its open files."""
        return is_marked(pid, self._mark.encode()) or any(
            is_of_session(pid, driver) for driver in self._drivers
        )

    def wait_until(self, happened: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until something happened, or time is up, or the run has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.running().poll() is None:
            if happened():
                return
            time.sleep(0.02)

    def _said(self, number: int) -> Path:
        return self._folder / f"driver-{number}.txt"


def kill(pid: int) -> None:
    """SIGKILL, which may come too late."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def query(db: Path, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a statement; reads while a driver writes."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def results(db: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that training and measuring found, to the last bit."""
    return {
        "measurement": query(
            db,
            "SELECT trial_id, samples_seen, task, metric, value FROM measurement ORDER BY 1,2,3,4",
        ),
        "curve": query(db, "SELECT trial_id, samples_seen, loss FROM curve ORDER BY 1, 2"),
        "weights": query(
            db, "SELECT trial_id, samples_seen, sha256 FROM checkpoint ORDER BY 1, 2"
        ),
    }
