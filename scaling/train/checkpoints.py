"""Checkpoint files: written whole or not at all, and read only if they are what was written."""

import hashlib
import os
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch

from scaling.errors import NoRoomError
from scaling.full_disk import bytes_wanted_for, is_full_disk
from scaling.train.failures import CheckpointError
from scaling.trial import Checkpoint
from scaling.units import format_bytes

State = dict[str, Any]
"""Nested dicts, lists, tensors and plain numbers: what `weights_only` loading allows."""


def save(
    state: State, directory: Path, *, trial_id: str, samples_seen: int, attempt: int
) -> Checkpoint:
    """Write `state` to a file of its own in `directory`.

    The name carries the attempt, so that two attempts never write the same file. Readers see the
    whole file or none: temporary name, fsync, rename, fsync of the folder.

    Raises `NoRoomError` if the disk has no room for it.
    """
    path = directory / f"{samples_seen:012d}-{attempt}.pt"
    temporary = path.with_suffix(".tmp")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _check_room(state, directory)
        with temporary.open("wb") as file:
            digesting = _DigestingWriter(file)
            torch.save(state, cast("IO[bytes]", digesting))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except Exception as error:
        if not _is_lack_of_room(error):
            raise
        raise NoRoomError(
            f"{directory}: no room was left while a checkpoint was written; what was saved before "
            "is as it was"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(directory)
    return Checkpoint(
        trial_id=trial_id,
        samples_seen=samples_seen,
        path=path,
        sha256=digesting.sha256.hexdigest(),
        bytes=path.stat().st_size,
    )


def load(checkpoint: Checkpoint, device: torch.device, *, mapped: bool = False) -> State:
    """The state in the file of `checkpoint`, on `device`.

    If `mapped`, tensors are read from the disk when they are used: for those who want parts.

    Raises `CheckpointError` if the file is missing or is not, byte for byte, what was saved.
    """
    path = checkpoint.path
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != checkpoint.sha256:
                raise CheckpointError(
                    f"{path}: not the file that was saved: SHA-256 {found[:12]}..., recorded "
                    f"{checkpoint.sha256[:12]}... ({path.stat().st_size:,} of "
                    f"{checkpoint.bytes:,} bytes); delete it, and the trial continues from the "
                    "checkpoint before it"
                )
            file.seek(0)
            state: State = torch.load(
                path if mapped else file, map_location=device, weights_only=True, mmap=mapped
            )
            return state
    except FileNotFoundError:
        raise CheckpointError(f"{path}: checkpoint of {checkpoint.trial_id} is missing") from None
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: holds something other than a checkpoint") from error


class _DigestingWriter:
    """A binary file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _check_room(state: State, directory: Path) -> None:
    needed = bytes_wanted_for(_tensor_bytes(state))
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise NoRoomError(
            f"{directory}: a checkpoint needs {format_bytes(needed)} of disk, "
            f"{format_bytes(free)} are free"
        )


def _is_lack_of_room(error: BaseException | None) -> bool:
    """Whether a full disk or a quota is behind `error`; torch wraps what a file raises."""
    while error is not None:
        if is_full_disk(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _tensor_bytes(value: object) -> int:
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(_tensor_bytes(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(_tensor_bytes(item) for item in value)
    return 0


def _sync_folder(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
