"""What happened in runs, as JSON lines beside the store, for other programs.

`results.events.jsonl` belongs to `results.db`. Each line is one object with `time` (ISO 8601, in
UTC), `run` (which driver wrote it), `number` (1, 2, ... in that run), `kind`, and for events of
trials `trial` and `attempt`; what else a kind has is in docs/running.md. A line is written at once
and never changed, and `run` with `number` tells lines apart: to read a file again does no harm.
"""

import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scaling.orchestrator.tally import Task
from scaling.store import Failure, TrialState
from scaling.store.times import now
from scaling.trial import Checkpoint, Event, Measurement, Note, Progress, Throughput

LARGEST_BYTES = 64 * 2**20
"""A file that has grown beyond this is set aside, as `results.events.1.jsonl`."""

_KEPT = 3
"""Files set aside; the oldest goes."""

_SECONDS_BETWEEN_PROGRESS = 60.0
"""Of one trial, at least; so 64 trials at once write about 20 MB a day."""


class EventLog:
    """A display that writes events down. A disk that is full costs events, not the run."""

    def __init__(self, store: Path, *, largest_bytes: int = LARGEST_BYTES) -> None:
        """Append to the file that belongs to `store`."""
        self._path = events_path(store)
        self._largest_bytes = largest_bytes
        self._run = f"{now()}-{socket.gethostname()}-{os.getpid()}"
        self._number = 0
        self._attempts: dict[str, int] = {}
        self._progress_at: dict[str, float] = {}

    def begin(self, tasks: Sequence[Task], done: int, failed: Mapping[str, Failure]) -> None:
        """See `Display.begin`."""
        self._close_torn_line()
        self._write(
            "begin",
            host=socket.gethostname(),
            pid=os.getpid(),
            to_do=len(tasks),
            done=done,
            failed=len(failed),
        )

    def ready(self, slots: int) -> None:
        """See `Display.ready`."""
        self._write("ready", slots=slots)

    def state(
        self, trial_id: str, state: TrialState, note: str = "", *, attempt: int | None = None
    ) -> None:
        """See `Display.state`."""
        if attempt is not None:
            self._attempts[trial_id] = attempt
        self._progress_at.pop(trial_id, None)
        self._of_trial("state", trial_id, state=str(state), note=note)

    def events(self, events: Sequence[Event]) -> None:
        """See `Display.events`."""
        for event in events:
            kind, fields = _described(event)
            if not kind or (kind == "progress" and not self._is_due(event.trial_id)):
                continue
            self._of_trial(kind, event.trial_id, **fields)

    def waiting(self, reason: str) -> None:
        """See `Display.waiting`."""
        self._write("waiting", reason=reason)

    def tick(self) -> None:
        """See `Display.tick`."""

    def close(self) -> None:
        """See `Display.close`."""
        self._write("end")

    def _is_due(self, trial_id: str) -> bool:
        moment = time.monotonic()
        if moment - self._progress_at.get(trial_id, -float("inf")) < _SECONDS_BETWEEN_PROGRESS:
            return False
        self._progress_at[trial_id] = moment
        return True

    def _of_trial(self, kind: str, trial_id: str, **fields: Any) -> None:
        self._write(kind, trial=trial_id, attempt=self._attempts.get(trial_id), **fields)

    def _write(self, kind: str, **fields: Any) -> None:
        self._number += 1
        event = {"time": now(), "run": self._run, "number": self._number, "kind": kind, **fields}
        try:
            if self._path.exists() and self._path.stat().st_size >= self._largest_bytes:
                self._set_aside()
            with self._path.open("ab") as file:
                file.write(json.dumps(event).encode() + b"\n")
        except OSError:
            # The store has everything that counts, and complains itself if its disk is full.
            return

    def _set_aside(self) -> None:
        for number in range(_KEPT, 0, -1):
            older = _set_aside_path(self._path, number)
            newer = _set_aside_path(self._path, number - 1) if number > 1 else self._path
            if newer.exists():
                newer.replace(older)

    def _close_torn_line(self) -> None:
        """Let no line of ours continue one that a killed driver left unfinished."""
        try:
            with self._path.open("rb+") as file:
                if not file.seek(0, os.SEEK_END):
                    return
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
        except OSError:
            return


def events_path(store: Path) -> Path:
    """The file of events that belongs to a store."""
    return store.with_suffix(".events.jsonl")


def read_events(store: Path) -> Iterator[dict[str, Any]]:
    """All events that are still there, the oldest first; lines that were torn are left out."""
    path = events_path(store)
    for file in (*(_set_aside_path(path, number) for number in range(_KEPT, 0, -1)), path):
        if not file.exists():
            continue
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict):
                    yield event


def _set_aside_path(path: Path, number: int) -> Path:
    return path.with_suffix(f".{number}{path.suffix}")


def _described(event: Event) -> tuple[str, dict[str, Any]]:
    """The kind of an event and its fields; no kind for those that are not written down."""
    match event:
        case Measurement():
            fields: tuple[str, ...] = ("samples_seen", "task", "metric", "value")
        case Checkpoint():
            return "checkpoint", {
                "samples_seen": event.samples_seen,
                "path": str(event.path),
                "bytes": event.bytes,
            }
        case Progress():
            fields = ("samples_seen", "loss", "samples_per_second", "phase", "gpu_bytes")
        case Note():
            fields = ("text",)
        case Throughput():
            fields = ("samples", "seconds")
        case _:
            return "", {}
    return type(event).__name__.lower(), {name: plain(getattr(event, name)) for name in fields}


def plain(value: Any) -> Any:
    """`value` as JSON has it, which knows no infinities and nothing that is not a number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
