"""How far a run is, in a small file beside the store that the driver keeps up to date.

`results.status.json` belongs to `results.db`; `scaling status` reads it from another process. It
is replaced as a whole, so a reader never sees half of it, and it says nothing that counts: what
was measured is in the store.
"""

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scaling.database import Database, default_checkpoints, run_files
from scaling.orchestrator.display import Display
from scaling.orchestrator.events import EventLog, plain
from scaling.orchestrator.tally import Tally, Task
from scaling.store import Failure, TrialState
from scaling.store.times import now
from scaling.trial import Event

SECONDS_BETWEEN = 2.0
"""From one version of the file to the next, while something happens or nothing does."""


def beside(store: Path, study: str, checkpoints: object) -> list[Display]:
    """The displays that write files beside `store`: events, and how far the run is."""
    return [EventLog(store), StatusFile(store, study, checkpoints)]


class StatusFile:
    """A display that writes how far a run is."""

    def __init__(self, store: Path, study: str, checkpoints: object) -> None:
        """Write the file that belongs to `store`."""
        self._path = status_path(store)
        self._head = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": now(),
            "study": study,
            "checkpoints": str(checkpoints),
        }
        self._tally = Tally([], 0)
        self._waiting = ""
        self._written = -float("inf")

    def begin(self, tasks: Sequence[Task], done: int, failed: Mapping[str, Failure]) -> None:
        """See `Display.begin`."""
        self._tally = Tally(tasks, done)
        self._write()

    def ready(self, slots: int) -> None:
        """See `Display.ready`."""
        self._tally.slots = slots
        self._write()

    def state(
        self, trial_id: str, state: TrialState, note: str = "", *, attempt: int | None = None
    ) -> None:
        """See `Display.state`."""
        self._tally.state(trial_id, state, attempt)
        self.tick()

    def events(self, events: Sequence[Event]) -> None:
        """See `Display.events`."""
        self._tally.events(events)
        self.tick()

    def waiting(self, reason: str) -> None:
        """See `Display.waiting`."""
        self._waiting = reason
        self._write()

    def tick(self) -> None:
        """See `Display.tick`."""
        if time.monotonic() - self._written >= SECONDS_BETWEEN:
            self._write()

    def close(self) -> None:
        """See `Display.close`."""
        self._write(ended=now())

    def _write(self, ended: str | None = None) -> None:
        tally = self._tally
        text = json.dumps(
            {
                **self._head,
                "updated": now(),
                "ended": ended,
                "slots": tally.slots,
                "to_do": len(tally.tasks),
                "finished": tally.finished,
                "fraction": tally.fraction,
                "samples_per_second": tally.samples_per_second,
                "seconds_left": tally.seconds_left(),
                "waiting": self._waiting if not ended else "",
                "running": [described(task) for task in tally.running] if not ended else [],
            }
        )
        self._written = time.monotonic()
        temporary = self._path.with_name(f"{self._path.name}.tmp")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self._path)
        except OSError:
            return  # As for events: a full disk costs the view of the run, not the run.


def status_path(store: Path) -> Path:
    """The file that says how far the run is that writes `store`."""
    return store.with_suffix(".status.json")


def read_status_file(store: Path) -> dict[str, Any]:
    """What the latest driver has written; empty if there is nothing that can be read."""
    try:
        found = json.loads(status_path(store).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def last_said(db: Database, checkpoints: str | Path | None) -> dict[str, Any]:
    """The same of the store at `db`, whose runs were told of `checkpoints` if need be."""
    return read_status_file(run_files(db, checkpoints))


def checkpoints_root(db: Database, checkpoints: str | Path | None) -> str | Path:
    """Where checkpoints are: as said, else where the last run had them, else beside the store.

    Raises `StoreError` if nobody said so and the store is on a server.
    """
    last = None if checkpoints else last_said(db, checkpoints).get("checkpoints")
    return checkpoints or last or default_checkpoints(db)


def described(task: Task) -> dict[str, Any]:
    """Where a trial is right now, as plain data."""
    return {
        "trial": task.trial_id,
        "attempt": task.attempt,
        "phase": task.phase,
        "fraction": task.fraction,
        "samples_seen": task.samples_seen,
        "end": task.end,
        "samples_per_second": task.samples_per_second,
        "loss": plain(task.loss),
        "gpu_bytes": task.gpu_bytes,
    }
