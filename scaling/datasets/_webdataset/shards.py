"""Local shards: which ones patterns name, whether they are here, and reading from them."""

import os
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from braceexpand import braceexpand

from scaling.errors import DataError

_OPEN_AT_ONCE = 64


class Extent(NamedTuple):
    """Where a file lies in a shard."""

    offset: int
    bytes: int


class Shard(NamedTuple):
    """A shard as it was when the stream was opened: another content is another shard."""

    path: Path
    size: int
    modified: int
    """Time of its last change, in nanoseconds."""

    def __str__(self) -> str:
        """Its path, as messages name it."""
        return str(self.path)

    def read(self, extent: Extent) -> bytes:
        """What lies there.

        Raises `DataError` if it cannot be read: a failing disk is no broken sample, and to skip it
        would make a trial depend on it.
        """
        try:
            file = _open(self)  # held: another thread may crowd it out of the cache meanwhile
            content = os.pread(file.descriptor, extent.bytes, extent.offset)
        except OSError as error:
            raise DataError(f"{self}: cannot be read: {error.strerror}") from error
        if len(content) < extent.bytes:
            raise DataError(f"{self}: has become shorter since it was indexed")
        return content


def expand(patterns: str | Sequence[str]) -> list[Path]:
    """Every shard that patterns such as `data/{0000..0999}.tar` name, in order."""
    listed = [patterns] if isinstance(patterns, str) else patterns
    try:
        return [Path(path).expanduser() for pattern in listed for path in braceexpand(pattern)]
    except ValueError as error:
        raise DataError(f"shards: {listed}: {error}") from error


def find_shards(paths: Sequence[Path]) -> list[Shard]:
    """The shards at these paths; raises `DataError` naming the first few that are not here."""
    found = {path: shard for path in paths if (shard := _shard(path)) is not None}
    missing = [path for path in paths if path not in found]
    if missing:
        names = ", ".join(str(path) for path in missing[:5])
        more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        raise DataError(f"missing {len(missing):,} of {len(paths):,} shards: {names}{more}")
    return [found[path] for path in paths]


def _shard(path: Path) -> Shard | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Shard(path, status.st_size, status.st_mtime_ns)


class _OpenFile:
    """A descriptor, closed when the last reader lets go of it."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


@lru_cache(maxsize=_OPEN_AT_ONCE)
def _open(shard: Shard) -> _OpenFile:
    return _OpenFile(shard.path)
