"""What a storage can do. A trial's files are `TRIAL/NAME`, and paths are relative to the root."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from scaling.trial import Checkpoint


class Storage(Protocol):
    """A place for checkpoints, journals and logs; a file there is whole or not there.

    All of it may raise `StorageError` where a storage does not answer.
    """

    def __str__(self) -> str:
        """The root, as people write it."""
        ...

    def place(self, path: Path) -> str:
        """A path with its root, for people."""
        ...

    def check(self) -> None:
        """Raise `StorageError` if nothing can be written there."""
        ...

    def free_bytes(self) -> int | None:
        """How much can still be written there; None if nobody knows."""
        ...

    def workplace(self, trial_id: str, attempt: int) -> Path:
        """The folder on an attempt's machine in which it works."""
        ...

    def handed_out(self, checkpoint: Checkpoint) -> Checkpoint:
        """A recorded checkpoint as attempts are told of it."""
        ...

    def relative(self, path: Path) -> Path:
        """A path that an attempt told, relative to the root."""
        ...

    def fetched(self, checkpoint: Checkpoint) -> AbstractContextManager[Checkpoint]:
        """A checkpoint, recorded or handed out, as a file of this machine while this lasts."""
        ...

    def sizes(self, paths: Iterable[Path]) -> dict[Path, int]:
        """Those of `paths` that are there, and their bytes."""
        ...

    def names(self, folder: Path) -> list[str]:
        """The names of all files in a folder, sorted; none if there is no such folder."""
        ...

    def read(self, path: Path, start: int = 0) -> bytes:
        """What is in a file from byte `start` on; nothing if there is no such file."""
        ...

    def write(self, path: Path, data: bytes) -> None:
        """Make a file of `data`, in place of one that is there."""
        ...

    def append(self, path: Path, data: bytes) -> None:
        """Add to a file that nobody else adds to; make it if missing."""
        ...

    def delete(self, path: Path) -> None:
        """Delete a file, if it is there."""
        ...
