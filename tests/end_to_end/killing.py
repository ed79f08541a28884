"""Drivers of real runs, and an adversary that ends their processes."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal

from scaling.orchestrator.reaper import is_marked, is_of_session, processes

Victim = Literal["driver", "worker", "both"]


class Adversary:
    """Starts `scaling run`, and kills its processes at moments drawn from a seed."""

    def __init__(self, grid: Path, db: Path, seed: int) -> None:
        self._command = [sys.executable, "-m", "scaling", "run", str(grid), "--db", str(db)]
        self._db = db
        self._random = random.Random(seed)
        self._said = db.with_name("said.txt")
        self._driver: subprocess.Popen[bytes] | None = None
        self._drivers: list[int] = []
        # Whatever a driver starts inherits its environment, and so can be found.
        self._mark = f"SCALING_TEST_MARK={uuid.uuid4()}"

    def strike(self, victim: Victim, records: int) -> bool:
        """Kill `victim` once the store has so many results; False if the run ended before.

        Every third driver is killed while it starts, at any moment of that.
        """
        driver = self._running_driver()
        if victim == "driver" and self._random.random() < 1 / 3:
            self._await(lambda: False, self._random.uniform(0, 5))
        else:
            self._await(lambda: self._records() >= records and self._workers() != [])
            self._await(lambda: False, self._random.uniform(0, 0.3))
        if driver.poll() is not None:
            return False
        if victim != "driver":
            for pid in self._random.sample(workers := self._workers(), min(1, len(workers))):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if victim != "worker":
            driver.kill()
            driver.wait()
            self._driver = None
        return True

    def finish(self) -> str:
        """Let a run end by itself; what it printed."""
        driver = self._running_driver()
        driver.wait(timeout=300)
        self._driver = None
        assert driver.returncode == 0, self._said.read_text()
        return self._said.read_text()

    def leftovers(self, seconds: float = 5.0) -> list[int]:
        """Processes that any of the drivers began and that are alive after a moment."""
        deadline = time.monotonic() + seconds
        while (alive := processes(self._is_ours)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return alive

    def close(self) -> None:
        """Leave nothing behind, even after a test that failed."""
        if self._driver:
            self._driver.kill()
            self._driver.wait()
        for pid in self.leftovers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _running_driver(self) -> "subprocess.Popen[bytes]":
        if self._driver is None:
            name, _, value = self._mark.partition("=")
            # A file: a pipe stays open until the last heir of a killed driver is gone.
            with self._said.open("wb") as said:
                self._driver = subprocess.Popen(
                    self._command, env={**os.environ, name: value}, stdout=said, stderr=said
                )
            self._drivers.append(self._driver.pid)
        return self._driver

    def _records(self) -> int:
        """How many results are in the store, which may not be there yet."""
        tables = "SELECT id FROM curve UNION ALL SELECT id FROM measurement"
        with suppress(sqlite3.OperationalError):
            return int(query(self._db, f"SELECT count(*) FROM ({tables})")[0][0])
        return 0

    def _workers(self) -> list[int]:
        """Processes that make an attempt right now."""
        with suppress(sqlite3.OperationalError):
            pids = query(self._db, "SELECT pid FROM attempt WHERE ended IS NULL AND pid NOT NULL")
            return sorted({pid for (pid,) in pids if self._is_ours(pid)})
        return []

    def _is_ours(self, pid: int) -> bool:
        """Whether any of the drivers began a process: by its environment or its open files."""
        return is_marked(pid, self._mark.encode()) or any(
            is_of_session(pid, driver) for driver in self._drivers
        )

    def _await(self, happened: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until something happened, or time is up, or the run has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._running_driver().poll() is None:
            if happened():
                return
            time.sleep(0.02)


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
