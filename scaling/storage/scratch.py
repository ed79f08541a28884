"""Folders on this machine's disk that last no longer than the processes that hold them.

A lock that the kernel takes back, however a process ends, says who still needs a folder; what a
killed one has left is deleted by whoever comes later.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scaling.errors import StorageError

_SECONDS_UNTIL_ABANDONED = 300.0
"""Whoever makes a folder has held it long before."""


def scratch_folder(within: Path | None) -> Path:
    """This user's folder in `within`, or in the system's folder for temporary files."""
    return (within or Path(tempfile.gettempdir())).absolute() / f"scaling-{os.getuid()}"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """`folder`, made if missing; the last process that holds it deletes it.

    Raises `StorageError` if the folder that it is in belongs to another user.
    """
    descriptor = _hold(folder)
    try:
        yield
    finally:
        # Let go before asking whether anybody else is there: of two that leave at the same time,
        # the later one sees that it is alone.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        _delete_if_alone(folder, descriptor)
        os.close(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process is within this for the file at `path`, which is made."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def delete_unless_held(folder: Path) -> None:
    """Delete `folder` if it is there and no process holds it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        _delete_if_alone(folder, descriptor)
        os.close(descriptor)


def sweep(scratch: Path) -> None:
    """Delete what processes have left in `scratch` that were killed."""
    before = time.time() - _SECONDS_UNTIL_ABANDONED
    with suppress(OSError):
        for folder in scratch.iterdir():
            if folder.lstat().st_mtime < before:
                delete_unless_held(folder)


def make_private(scratch: Path) -> None:
    """Make the folder of all others; where anyone may write, somebody else may have made it.

    Raises `StorageError` if somebody else has.
    """
    scratch.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        scratch.mkdir(mode=0o700)
    if scratch.is_symlink() or scratch.stat().st_uid != os.getuid():
        raise StorageError(f"{scratch}: belongs to another user; name another folder: --scratch")


def _hold(folder: Path) -> int:
    """A descriptor of `folder` with a lock that others can have too."""
    make_private(folder.parent)
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if os.fstat(descriptor).st_nlink:
                return descriptor
            # It was deleted by the one that held it before.
            os.close(descriptor)


def _delete_if_alone(folder: Path, descriptor: int) -> None:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
