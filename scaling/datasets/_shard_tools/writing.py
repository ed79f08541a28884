"""A shard that is there whole or not at all, and beside it what it was made of.

`00000.tar` has its `00000_stats.json`, as with img2dataset. The shard is written under another
name and renamed once it and its statistics are on the disk: a shard that has its name is whole.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from scaling.errors import DataError


class Sample(NamedTuple):
    """What a shard holds of one sample."""

    key: str
    files: Mapping[str, bytes]
    """By suffix."""


class ShardWriter:
    """Adds samples to a shard in the making."""

    def __init__(self, file: IO[bytes]) -> None:
        """Samples go to `file`."""
        from webdataset import TarWriter

        # Equal samples give equal files, whenever and by whomever they are written.
        self._tar = TarWriter(file, encoder=False, mtime=0, user="", group="")
        self.statistics: dict[str, Any] = {}
        """What is written beside the shard, with what it was made of."""

    def add(self, sample: Sample) -> None:
        """Add a sample's files."""
        self._tar.write({"__key__": sample.key, **sample.files})

    def close(self) -> None:
        """Write the end of the tar."""
        self._tar.close()


@contextmanager
def new_shard(path: Path, made_of: Mapping[str, Any]) -> Iterator[ShardWriter]:
    """A writer of the shard at `path`, which appears there at the end of the `with`.

    `made_of` is what `statistics_of` will compare. Raises `DataError` if the shard cannot be
    written, or if another process is writing it.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _claim(file, path)
            file.truncate(0)
            writer = ShardWriter(file)
            yield writer
            writer.close()
            file.flush()
            os.fsync(file.fileno())
            _write(_beside(path), {"made_of": made_of, **writer.statistics})
            os.replace(part, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def statistics_of(path: Path, made_of: Mapping[str, Any]) -> dict[str, Any] | None:
    """The statistics of the shard at `path` if it is there.

    Raises `DataError` if it was made of something else, or not by us.
    """
    if not path.exists():
        return None
    try:
        statistics: dict[str, Any] = json.loads(_beside(path).read_text())
        before = statistics.pop("made_of")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{path} is there already, and not from this command: {_beside(path).name} beside it "
            "does not say what it was made of; write into another folder"
        ) from None
    differing = [
        f"{name} {before.get(name)!r} there, {value!r} here"
        for name, value in made_of.items()
        if before.get(name) != value
    ]
    if differing:
        raise DataError(
            f"{path} is there already, made of something else ({'; '.join(differing)}); remove "
            "it or write into another folder"
        )
    return statistics


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}_stats.json")


def _claim(file: IO[bytes], path: Path) -> None:
    """Raise `DataError` if another process writes this file; it is free again when that ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(f"{path}: another process is writing it") from None
    except OSError:
        pass  # A file system without locks.


def _write(path: Path, content: Mapping[str, Any]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
