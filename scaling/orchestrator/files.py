"""The folder of all checkpoints: `ROOT/TRIAL/` with checkpoints, journals and logs of attempts.

The store keeps paths relative to the root, which may move; workers get absolute ones.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from scaling.errors import ResourceError
from scaling.orchestrator.worker import without_torn_task
from scaling.train import read_journal
from scaling.train.journal import Result
from scaling.trial import Checkpoint, Event


class Files:
    """The files of trials below one root."""

    def __init__(self, root: Path) -> None:
        """`root` is made by the first trial that needs it.

        Raises `ResourceError` if it is the address of a store that is no file system.
        """
        if re.match(r"[a-z][a-z0-9+.-]+:/", str(root)):
            raise ResourceError(
                f"checkpoints cannot go to {str(root)!r}: they are written, synced and renamed "
                "as files; give a folder, such as one where that store is mounted"
            )
        self.root = root.absolute()

    def directory(self, trial_id: str) -> Path:
        """Where a trial's checkpoints and journals go."""
        return self.root / trial_id

    def log(self, trial_id: str, attempt: int) -> Path:
        """Where the traceback of a failed attempt goes, and what the trainer logs."""
        return self.directory(trial_id) / f"attempt-{attempt}.log"

    def present(self, checkpoints: Iterable[Checkpoint]) -> tuple[Checkpoint, ...]:
        """Those of the store's `checkpoints` whose files are there, with absolute paths."""
        absolute = (replace(c, path=self.root / c.path) for c in checkpoints)
        return tuple(checkpoint for checkpoint in absolute if _is_there(checkpoint))

    def delete(self, checkpoint: Checkpoint) -> None:
        """Delete the file of one of the store's checkpoints, if it is there."""
        (self.root / checkpoint.path).unlink(missing_ok=True)

    def relative(self, events: Iterable[Event]) -> tuple[Event, ...]:
        """`events` as the store records them: paths relative to the root."""
        return tuple(
            replace(event, path=event.path.relative_to(self.root))
            if isinstance(event, Checkpoint)
            else event
            for event in events
        )

    def clear(self, trial_id: str, attempt: int) -> None:
        """Make room for an attempt that begins: the journal of another store's is not its own.

        Earlier attempts have ended. A checkpoint that one was writing when it was killed is of no
        use (`scaling.train.checkpoints.save` names it so until it is whole).
        """
        self._journal(trial_id, attempt).unlink(missing_ok=True)
        self._stop_file(trial_id, attempt).unlink(missing_ok=True)
        for path in self.directory(trial_id).glob("*.tmp"):
            path.unlink(missing_ok=True)

    def ask_to_stop(self, trial_id: str, attempt: int) -> None:
        """Ask an attempt to save where it is and stop."""
        path = self._stop_file(trial_id, attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def journal(self, trial_id: str, attempt: int) -> tuple[Event, ...]:
        """What an attempt that ended early had found, as the store records it.

        Without checkpoints whose file is gone, and without a task that may lack some metrics.
        """
        directory = self.directory(trial_id)
        results = [
            # The folder may have moved since the line was written.
            replace(result, path=directory / result.path.name)
            if isinstance(result, Checkpoint)
            else result
            for result in self._results(trial_id, attempt)
        ]
        return self.relative(
            result
            for result in without_torn_task(results)
            if not isinstance(result, Checkpoint) or _is_there(result)
        )

    def _stop_file(self, trial_id: str, attempt: int) -> Path:
        """See `Work.stop_file`."""
        return self.directory(trial_id) / f"stop-{attempt}"

    def _journal(self, trial_id: str, attempt: int) -> Path:
        return self.directory(trial_id) / f"journal-{attempt}.jsonl"

    def _results(self, trial_id: str, attempt: int) -> list[Result]:
        """The results of the latest attempt, which are the last ones of all attempts."""
        try:
            whole_lines = self._journal(trial_id, attempt).read_bytes().count(b"\n")
        except FileNotFoundError:
            return []
        return read_journal(self.directory(trial_id))[-whole_lines:] if whole_lines else []


def _is_there(checkpoint: Checkpoint) -> bool:
    """Whether the file is there, whole as far as its size tells; the trainer checks its digest."""
    try:
        return checkpoint.path.stat().st_size == checkpoint.bytes
    except OSError:
        return False
