"""Where checkpoints are kept: a folder that every node sees, or an address that fsspec reaches."""

import re
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from scaling.errors import StorageError
from scaling.storage.folder import Folder
from scaling.storage.interface import Storage
from scaling.storage.remote import Remote
from scaling.trial import Checkpoint

__all__ = ["Folder", "Remote", "Storage", "fetched", "is_address", "storage_at"]


def is_address(root: str | Path) -> bool:
    """Whether `root` is an address (`s3://bucket/study`) and not a folder."""
    return re.match(r"[a-z][a-z0-9+.-]+://", str(root)) is not None


def storage_at(root: str | Path, scratch: Path | None = None) -> Storage:
    """The storage at a folder or an address; nothing is made there yet.

    With an address, attempts work below `scratch`, or in the system's folder for temporary files.

    Raises `StorageError` if nothing that is installed reaches the address.
    """
    if is_address(root):
        return Remote.at(str(root), scratch)
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(root)):
        # `Path` makes one of two slashes.
        text = str(root).replace(":/", "://", 1)
        raise StorageError(f"{root}: is no folder; give an address as text, {text!r}")
    return Folder(Path(root).absolute())


def fetched(checkpoint: Checkpoint, storage: Storage | None) -> AbstractContextManager[Checkpoint]:
    """`checkpoint` as a file of this machine, as long as this lasts; None: it is one already."""
    return nullcontext(checkpoint) if storage is None else storage.fetched(checkpoint)
