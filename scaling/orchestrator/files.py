"""The files of trials in a storage: `TRIAL/` with checkpoints, journals and logs of attempts.

The store keeps paths relative to the root, which may move; attempts get what their machine needs.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from scaling.orchestrator.worker import without_torn_task
from scaling.storage import Remote, Storage, storage_at
from scaling.storage.scratch import delete_unless_held
from scaling.train.journal import Result, parse
from scaling.trial import Checkpoint, Event

_LOG = re.compile(r"attempt-(\d+)\.log")


class Files:
    """The files of trials below one root."""

    def __init__(self, root: str | Path | Storage) -> None:
        """`root` is a folder, made by the first trial that needs it, or an address.

        Raises `StorageError` if it is an address that nothing reaches; see `storage_at`.
        """
        self.storage: Storage = storage_at(root) if isinstance(root, str | Path) else root

    @property
    def remote(self) -> Remote | None:
        """The storage, if attempts cannot work in it."""
        return self.storage if isinstance(self.storage, Remote) else None

    def directory(self, trial_id: str, attempt: int) -> Path:
        """Where an attempt works, on its machine."""
        return self.storage.workplace(trial_id, attempt)

    def log(self, trial_id: str, attempt: int) -> Path:
        """Where an attempt writes its traceback, and what the trainer logs, on its machine."""
        return self.directory(trial_id, attempt) / f"attempt-{attempt}.log"

    def place_of_log(self, trial_id: str, attempt: int) -> str:
        """Where people find that."""
        return self.storage.place(self._log(trial_id, attempt))

    def written_log(self, trial_id: str, attempt: int) -> str | None:
        """The same, if there is one."""
        path = self._log(trial_id, attempt)
        return self.storage.place(path) if self.storage.sizes([path]) else None

    def logs(self, trial_id: str) -> dict[int, Path]:
        """The logs of a trial's attempts, by their numbers, ascending."""
        names = map(_LOG.fullmatch, self.storage.names(Path(trial_id)))
        numbers = sorted(int(name[1]) for name in names if name)
        return {number: self._log(trial_id, number) for number in numbers}

    def present(self, checkpoints: Iterable[Checkpoint]) -> tuple[Checkpoint, ...]:
        """Those of the store's `checkpoints` whose files are there, as attempts are told of them.

        There and whole as far as their sizes tell; the trainer checks digests.
        """
        recorded = tuple(checkpoints)
        sizes = self.storage.sizes(checkpoint.path for checkpoint in recorded)
        return tuple(
            self.storage.handed_out(checkpoint)
            for checkpoint in recorded
            if sizes.get(checkpoint.path) == checkpoint.bytes
        )

    def delete(self, checkpoint: Checkpoint) -> None:
        """Delete the file of one of the store's checkpoints, if it is there."""
        self.storage.delete(checkpoint.path)

    def relative(self, events: Iterable[Event]) -> tuple[Event, ...]:
        """`events` as the store records them: paths relative to the root."""
        return tuple(
            replace(event, path=self.storage.relative(event.path))
            if isinstance(event, Checkpoint)
            else event
            for event in events
        )

    def clear(self, trial_id: str, attempt: int) -> None:
        """Make room for an attempt that begins: the journal of another store's is not its own.

        Earlier attempts have ended. A checkpoint that one was writing or uploading when it was
        killed is of no use (it is named so until it is whole).
        """
        for path in (
            self._journal(trial_id, attempt),
            self._stop_file(trial_id, attempt),
            *self._pieces(trial_id, attempt),
            *self._partial(trial_id),
        ):
            self.storage.delete(path)

    def ask_to_stop(self, trial_id: str, attempt: int) -> None:
        """Ask an attempt to save where it is and stop."""
        self.storage.write(self._stop_file(trial_id, attempt), b"")

    def journal(self, trial_id: str, attempt: int) -> tuple[Event, ...]:
        """What an attempt that ended early had found, as the store records it.

        Without checkpoints whose file is gone, and without a task that may lack some metrics.
        """
        results = [
            # The folder may have moved since the line was written.
            replace(result, path=Path(trial_id, result.path.name))
            if isinstance(result, Checkpoint)
            else result
            for result in self._results(trial_id, attempt)
        ]
        found = [result for result in results if isinstance(result, Checkpoint)]
        sizes = self.storage.sizes(checkpoint.path for checkpoint in found)
        return tuple(
            result
            for result in without_torn_task(results)
            if not isinstance(result, Checkpoint) or sizes.get(result.path) == result.bytes
        )

    def end_log(self, trial_id: str, attempt: int, text: str = "") -> None:
        """Keep what an attempt on this machine had logged when it was killed, and add `text`."""
        log = self.log(trial_id, attempt)
        if self.remote and log.exists():
            self.storage.write(self._log(trial_id, attempt), log.read_bytes())
        if text:
            self.storage.append(self._log(trial_id, attempt), text.encode())

    def leave(self, trial_id: str, attempt: int) -> None:
        """Delete what a killed attempt has left on this machine that is not in the storage."""
        if self.remote:
            delete_unless_held(self.directory(trial_id, attempt))

    def _log(self, trial_id: str, attempt: int) -> Path:
        return Path(trial_id, f"attempt-{attempt}.log")

    def _stop_file(self, trial_id: str, attempt: int) -> Path:
        """See `Work.stop_file`."""
        return Path(trial_id, f"stop-{attempt}")

    def _journal(self, trial_id: str, attempt: int) -> Path:
        return Path(trial_id, f"journal-{attempt}.jsonl")

    def _pieces(self, trial_id: str, attempt: int) -> list[Path]:
        """What a journal consists of where nothing can be appended to."""
        if not self.remote:
            return []
        folder = self.remote.journal(trial_id, attempt)
        return [folder / name for name in self.storage.names(folder)]

    def _partial(self, trial_id: str) -> list[Path]:
        """What earlier attempts were writing (`scaling.train.checkpoints.save`) or uploading."""
        names = self.storage.names(Path(trial_id))
        return [Path(trial_id, name) for name in names if name.endswith((".tmp", ".part"))]

    def _results(self, trial_id: str, attempt: int) -> list[Result]:
        paths = self._pieces(trial_id, attempt) or [self._journal(trial_id, attempt)]
        return [
            result
            for path in paths
            for result in parse(self.storage.read(path), self.storage.place(path))
        ]
