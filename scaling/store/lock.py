"""One writer: who it is, and the lock of a file, which a dead process cannot keep."""

import fcntl
import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from scaling.database import Database
from scaling.errors import StoreError
from scaling.full_disk import doing_without


@dataclass(frozen=True)
class Holder:
    """The process that took a store's lock last and did not give it back; it may have died."""

    host: str
    pid: int
    started: str
    """ISO 8601, in UTC: when it took the lock."""
    is_alive: bool | None = None
    """Whether it holds it now; None where only its own machine can tell."""

    @classmethod
    def this_process(cls) -> Self:
        """The process that asks, as one that takes a lock now."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(host=socket.gethostname(), pid=os.getpid(), started=started)

    def row(self) -> dict[str, Any]:
        """What it writes down about itself."""
        return {"host": self.host, "pid": self.pid, "started": self.started}

    def __str__(self) -> str:
        """For people."""
        return f"process {self.pid} on {self.host} since {self.started}"


def in_use(db: Database, holder: Holder | None) -> StoreError:
    """The refusal of a second writer; it has the lock and may not have written its name yet."""
    return StoreError(
        f"{db} is being written by {holder or 'another process'}; wait until it has ended, or "
        "stop it"
    )


class FileLock:
    """The right to write a store's file, held as long as the process lives or until `release`.

    The lock is on `STORE.lock` beside the store and not on the store itself, which SQLite locks in
    its own ways. The file stays after the release: to remove it would let two processes lock two
    files of the same name.
    """

    def __init__(self, store: Path) -> None:
        """Take the lock; raises `StoreError` naming the process that has it."""
        path = _lock_path(store)
        try:
            # Not inherited by child processes, which would keep the lock after our death.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{store} cannot be written: {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise in_use(store, last_holder_of_file(store)) from None
        os.ftruncate(self._file, 0)
        with doing_without():
            os.pwrite(self._file, json.dumps(Holder.this_process().row()).encode(), 0)

    def release(self) -> None:
        """Let others write."""
        if self._file >= 0:
            os.ftruncate(
                self._file, 0
            )  # Nobody holds it; a process that is killed leaves its name.
            os.close(self._file)
            self._file = -1


def last_holder_of_file(store: Path) -> Holder | None:
    """Who holds the lock of `store`, or died with it; None if the last one gave it back."""
    try:
        found = json.loads(_lock_path(store).read_bytes())
        return Holder(host=found["host"], pid=int(found["pid"]), started=found["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lock_path(store: Path) -> Path:
    return store.with_name(store.name + ".lock")
