"""What connects an attempt that works on its machine's disk with the storage of all machines.

Nothing is told before it is in the storage: a checkpoint is uploaded, then a piece of the journal
that names it, then the driver hears of it. An attempt that is killed in between has lost what it
had found since the piece before; what it was uploading has no name that anybody knows.
"""

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

from scaling.errors import StorageError
from scaling.storage import Remote
from scaling.storage.scratch import held, sweep
from scaling.train.journal import Result, line
from scaling.trial import Checkpoint, Event, Work

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 2.0
"""At the file that asks to stop, which is a request to the storage, and at the log."""


class InPlace:
    """Of an attempt that works where its files stay: its journal is all that is needed."""

    def __init__(self, log: Path) -> None:
        """`log` is what the attempt logs to."""
        self.log = str(log)
        """Where people find it."""

    def keep(self, events: Iterable[Event]) -> tuple[Event, ...]:
        """`events`, once they are where they outlive this machine."""
        return tuple(events)


class Mirror(InPlace):
    """Of an attempt that works on this machine's disk."""

    def __init__(self, work: Work, storage: Remote, log: Path) -> None:
        """Nothing has been found yet."""
        self._stored_log = Path(work.trial.id, log.name)
        self.log = storage.place(self._stored_log)
        self._storage = storage
        self._hasty = replace(storage, is_patient=False)
        """For what is tried again anyway, or is not worth waiting for."""
        self._work = work
        self._local_log = log
        self._logged = 0
        self._pieces = 0
        self._has_ended = threading.Event()

    def keep(self, events: Iterable[Event]) -> tuple[Event, ...]:
        """See `InPlace.keep`."""
        kept = tuple(
            self._storage.upload(event) if isinstance(event, Checkpoint) else event
            for event in events
        )
        lines = [line(event) for event in kept if isinstance(event, get_args(Result))]
        if lines:
            self._pieces += 1
            journal = self._storage.journal(self._work.trial.id, self._work.attempt)
            self._storage.write(journal / f"{self._pieces:06d}.jsonl", b"".join(lines))
        return kept

    def look_again_and_again(self) -> None:
        """Until the attempt ends: has somebody asked it to stop, has it logged anything?"""
        while not self._has_ended.wait(_SECONDS_BETWEEN_LOOKS):
            # Whatever it is, it is tried again; what counts is kept by the attempt itself.
            with suppress(Exception):
                self._look()

    def look_no_more(self) -> None:
        """Let `look_again_and_again` end."""
        self._has_ended.set()

    def keep_log(self) -> None:
        """Copy the log if it has grown."""
        with suppress(FileNotFoundError):
            if self._local_log.stat().st_size > self._logged:
                logged = self._local_log.read_bytes()
                self._hasty.write(self._stored_log, logged)
                self._logged = len(logged)

    def _look(self) -> None:
        stop_file = self._work.stop_file
        wanted = Path(self._work.trial.id, stop_file.name)
        if not stop_file.exists() and self._hasty.sizes([wanted]):
            stop_file.touch()
        self.keep_log()


@contextmanager
def mirrored(work: Work, log: Path) -> Iterator[InPlace]:
    """Within, `work.directory` is there, and what is found can be kept.

    Raises `StorageError` if another user owns the folder for attempts on this machine.
    """
    if work.storage is None:
        yield InPlace(log)
        return
    sweep(work.storage.scratch)
    with held(work.directory):
        mirror = Mirror(work, work.storage, log)
        thread = threading.Thread(target=mirror.look_again_and_again, daemon=True)
        thread.start()
        try:
            yield mirror
        finally:
            mirror.look_no_more()
            thread.join()
            # The attempt ends as it does, whether or not the storage takes its log.
            with suppress(StorageError, OSError):
                mirror.keep_log()
