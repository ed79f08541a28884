"""Lists of sample uids, as DataComp, DFN and others give their subsets.

A uid is 128 bits, written as 32 hexadecimal digits. DataComp's lists are sorted arrays of its
upper and lower halves, numpy dtype `u8,u8`, in a .npy file or as the bare array
(https://github.com/mlfoundations/datacomp, resharder.py). Sets that name their samples otherwise
are listed in text or Parquet, and compared as text.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from scaling.errors import DataError, unknown

_HALVES = np.dtype("u8,u8")
_HEX = re.compile(r"[0-9a-fA-F]{1,32}")
_CHUNK = 1 << 20


class UidFile(NamedTuple):
    """A list as it was when the stream was opened."""

    path: Path
    bytes: int
    modified: int
    """Time of its last change, in nanoseconds."""


class UidList(Protocol):
    """Uids, each listed once or more often."""

    def counts(self, uids: Sequence[str]) -> NDArray[np.int64]:
        """How often each of `uids` is listed."""
        ...


def find_uids(key: str, path: str) -> UidFile:
    """The list that the option `key` names; raises `DataError` if it is not here."""
    place = Path(path).expanduser()
    if not place.is_file():
        raise DataError(f"{key}: missing {place}")
    status = place.stat()
    return UidFile(place, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def load_uids(file: UidFile) -> UidList:
    """The list in a file; raises `DataError` if it is not one."""
    try:
        if file.path.suffix == ".npy":
            return _Halves(_array(file.path))
        texts = _column(file.path) if file.path.suffix == ".parquet" else _lines(file.path)
    except (OSError, ValueError) as error:
        raise DataError(f"{file.path}: cannot be read as a list of uids: {error}") from error
    if not texts:
        raise DataError(f"{file.path}: lists no uid")
    if all(len(text) == 32 and _HEX.fullmatch(text) for text in texts):
        return _Halves(_halves(texts))
    return _Texts(texts)


class _Halves:
    """128-bit uids, in order; may be larger than memory."""

    def __init__(self, listed: "np.ndarray[tuple[int], np.dtype[np.void]]") -> None:
        self._listed = listed if _is_sorted(listed) else np.sort(listed)

    def counts(self, uids: Sequence[str]) -> NDArray[np.int64]:
        """See `UidList.counts`."""
        hexadecimal = [bool(_HEX.fullmatch(uid)) for uid in uids]
        sought = _halves(
            [uid if is_uid else "0" for uid, is_uid in zip(uids, hexadecimal, strict=True)]
        )
        before = np.searchsorted(self._listed, sought, "left")
        after = np.searchsorted(self._listed, sought, "right")
        return np.where(hexadecimal, after - before, 0)


class _Texts:
    """Uids of any form."""

    def __init__(self, listed: Sequence[str]) -> None:
        self._listed = Counter(listed)

    def counts(self, uids: Sequence[str]) -> NDArray[np.int64]:
        """See `UidList.counts`."""
        return np.array([self._listed[uid] for uid in uids], np.int64)


def _halves(uids: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    return np.array([divmod(int(uid, 16), 2**64) for uid in uids], _HALVES)


def _array(path: Path) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    with path.open("rb") as file:
        is_npy = file.read(6) == b"\x93NUMPY"
    array = np.load(path, mmap_mode="r") if is_npy else np.memmap(path, _HALVES, mode="r")
    if array.dtype != _HALVES or array.ndim != 1:
        raise ValueError(f"it holds {array.dtype}, not pairs of 64-bit halves, dtype u8,u8")
    if not len(array):
        raise ValueError("it is empty")
    return array


def _is_sorted(listed: "np.ndarray[tuple[int], np.dtype[np.void]]") -> bool:
    for start in range(0, len(listed) - 1, _CHUNK):
        upper, lower = (listed[start : start + _CHUNK + 1][half] for half in ("f0", "f1"))
        rising = (upper[:-1] < upper[1:]) | ((upper[:-1] == upper[1:]) & (lower[:-1] <= lower[1:]))
        if not rising.all():
            return False
    return True


def _column(path: Path) -> list[str]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        if "uid" not in file.schema_arrow.names:
            raise ValueError(unknown("column", "uid", file.schema_arrow.names))
        column = file.read(columns=["uid"]).column("uid")
    return [str(uid) for uid in column.to_pylist() if uid is not None]


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]
