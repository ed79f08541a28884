"""One writer: a lock of the operating system, which a dead process cannot keep."""

import fcntl
import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scaling.errors import StoreError
from scaling.full_disk import doing_without


class WriterLock:
    """The right to write a store, held for as long as the process lives or until `release`.

    The lock is on `STORE.lock` beside the store and not on the store itself, which SQLite locks in
    its own ways. The file stays after the release: to remove it would let two processes lock two
    files of the same name.
    """

    def __init__(self, store: Path) -> None:
        """Take the lock; raises `StoreError` naming the process that has it."""
        path = store.with_name(store.name + ".lock")
        try:
            # Not inherited by child processes, which would keep the lock after our death.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{store} cannot be written: {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = _holder(self._file)
            os.close(self._file)
            raise StoreError(
                f"{store} is being written by {words}; wait until it has ended, or stop it"
            ) from None
        started = datetime.now(UTC).isoformat(timespec="seconds")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
        os.ftruncate(self._file, 0)
        with doing_without():
            os.pwrite(self._file, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Let others write."""
        if self._file >= 0:
            os.ftruncate(
                self._file, 0
            )  # Nobody holds it; a process that is killed leaves its name.
            os.close(self._file)
            self._file = -1


@dataclass(frozen=True)
class Holder:
    """The process that took a store's lock last and did not give it back; it may have died."""

    host: str
    pid: int
    started: str
    """ISO 8601, in UTC: when it took the lock."""


def last_holder(store: Path) -> Holder | None:
    """Who holds the lock of `store`, or died with it; None if the last one gave it back."""
    try:
        found = json.loads(store.with_name(store.name + ".lock").read_bytes())
        return Holder(host=found["host"], pid=int(found["pid"]), started=found["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _holder(file: int) -> str:
    """Who holds the lock, in words."""
    try:
        holder = json.loads(os.pread(file, 4096, 0))
        return f"process {holder['pid']} on {holder['host']} since {holder['started']}"
    except (ValueError, KeyError, TypeError):
        # It has the lock and has not yet written its name.
        return "another process"
