"""An address that fsspec reaches, such as `s3://bucket/study`; attempts work on their own disks.

Object stores show an object whole or not at all, so files are put there as they are. Elsewhere a
file gets its name when all of it is there. Nothing is renamed over a network that has no renaming,
nothing is appended to, and no listing is remembered.
"""

import hashlib
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from scaling.errors import StorageError
from scaling.full_disk import is_full_disk
from scaling.storage.scratch import alone, held, make_private, scratch_folder
from scaling.trial import Checkpoint

logger = logging.getLogger(__name__)

_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "tos")
"""Protocols that put a file whole or not at all, and have no folders."""

_SECONDS_BETWEEN_TRIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0)
"""About four minutes, beyond the tries that most clients make themselves."""

_FINAL = (PermissionError, FileNotFoundError, NotImplementedError)
"""What does not change by itself; `OSError`s of a full disk are told apart by their number."""

T = TypeVar("T")


@dataclass(frozen=True)
class Remote:
    """The files below an address."""

    address: str
    """Without a slash at the end."""
    scratch: Path
    """The folder on every node's own disk in which attempts work."""
    is_patient: bool = True
    """Whether to wait for a storage that does not answer."""

    @classmethod
    def at(cls, address: str, scratch: Path | None) -> "Remote":
        """Raises `StorageError` if what is installed does not reach `address`."""
        from fsspec.registry import get_filesystem_class, known_implementations

        protocol = address.partition("://")[0]
        try:
            get_filesystem_class(protocol)
        except ImportError as error:
            package = known_implementations[protocol]["class"].partition(".")[0]
            hint = "" if package == "fsspec" else f": pip install {package}"
            raise StorageError(
                f"{address}: what reads and writes {protocol}:// is not installed, here and on "
                f"every node{hint} ({error})"
            ) from None
        except ValueError:
            from scaling.errors import unknown

            raise StorageError(
                f"{address}: {unknown('protocol', protocol, known_implementations)}"
            ) from None
        return cls(address.rstrip("/"), scratch_folder(scratch))

    def __str__(self) -> str:
        """See `Storage.__str__`."""
        return self.address

    def place(self, path: Path) -> str:
        """See `Storage.place`."""
        return f"{self.address}/{path.as_posix()}"

    def check(self) -> None:
        """See `Storage.check`: write a file, read it and delete it."""
        make_private(self.scratch)
        path = Path(f".written-{os.getpid()}")
        try:
            self._put(path, lambda place: self._files.pipe_file(place, b"whole"), len(b"whole"))
            if self._files.cat_file(self._at(path)) != b"whole":
                raise OSError("what is read is not what was written")
            self._files.rm_file(self._at(path))
        except Exception as error:
            raise StorageError(f"{self}: cannot be written to: {_in_words(error)}") from error

    def free_bytes(self) -> int | None:
        """See `Storage.free_bytes`."""
        return None

    def workplace(self, trial_id: str, attempt: int) -> Path:
        """See `Storage.workplace`: on the disk of its node."""
        digest = hashlib.sha256(self.address.encode()).hexdigest()[:8]
        return self.scratch / f"{trial_id}-{attempt}-{digest}"

    def handed_out(self, checkpoint: Checkpoint) -> Checkpoint:
        """See `Storage.handed_out`: with its relative path."""
        return checkpoint

    def relative(self, path: Path) -> Path:
        """See `Storage.relative`: as `upload` has made it."""
        return path

    @contextmanager
    def fetched(self, checkpoint: Checkpoint) -> Iterator[Checkpoint]:
        """See `Storage.fetched`; processes of a machine that need it at the same time share it."""
        folder = self.scratch / f"checkpoint-{checkpoint.sha256}"
        with held(folder):
            path = folder / checkpoint.path.name
            with alone(folder / "lock"):
                if not path.exists():
                    self._download(checkpoint, path)
            yield replace(checkpoint, path=path)

    def upload(self, checkpoint: Checkpoint) -> Checkpoint:
        """Copy a checkpoint from this machine's disk, and delete it there; with its new path."""
        path = Path(checkpoint.trial_id, checkpoint.path.name)
        source = str(checkpoint.path)
        self._patiently(
            f"{self.place(path)}: cannot be uploaded",
            lambda: self._put(
                path, lambda place: self._files.put_file(source, place), checkpoint.bytes
            ),
        )
        checkpoint.path.unlink()
        return replace(checkpoint, path=path)

    def journal(self, trial_id: str, attempt: int) -> Path:
        """The folder of an attempt's journal, in pieces: nothing can be appended to."""
        return Path(trial_id, f"journal-{attempt}")

    def sizes(self, paths: Iterable[Path]) -> dict[Path, int]:
        """See `Storage.sizes`; one request a folder."""
        folders: defaultdict[Path, list[Path]] = defaultdict(list)
        for path in paths:
            folders[path.parent].append(path)
        found = {}
        for folder, wanted in folders.items():
            there = self._listing(folder) if len(wanted) > 1 else self._only(wanted[0])
            found.update({path: there[path.name] for path in wanted if path.name in there})
        return found

    def names(self, folder: Path) -> list[str]:
        """See `Storage.names`."""
        return sorted(self._listing(folder))

    def read(self, path: Path, start: int = 0) -> bytes:
        """See `Storage.read`."""

        def read() -> bytes:
            with suppress(FileNotFoundError):
                data: bytes = self._files.cat_file(self._at(path), start=start or None)
                return data
            return b""

        return self._patiently(f"{self.place(path)}: cannot be read", read)

    def write(self, path: Path, data: bytes) -> None:
        """See `Storage.write`."""
        self._patiently(
            f"{self.place(path)}: cannot be written",
            lambda: self._put(path, lambda place: self._files.pipe_file(place, data), len(data)),
        )

    def append(self, path: Path, data: bytes) -> None:
        """See `Storage.append`: write all of it again."""
        self.write(path, self.read(path) + data)

    def delete(self, path: Path) -> None:
        """See `Storage.delete`."""

        def delete() -> None:
            with suppress(FileNotFoundError):
                self._files.rm_file(self._at(path))

        self._patiently(f"{self.place(path)}: cannot be deleted", delete)

    @property
    def _files(self) -> Any:
        """What fsspec keeps for the protocol; listings are as they are now, not as they were."""
        import fsspec

        options = {} if self._is_object_store else {"auto_mkdir": True}
        return fsspec.filesystem(self._protocol, use_listings_cache=False, **options)

    @property
    def _protocol(self) -> str:
        return self.address.partition("://")[0]

    @property
    def _is_object_store(self) -> bool:
        return self._protocol in _OBJECT_STORES

    def _at(self, path: Path) -> str:
        """A path as fsspec takes it."""
        return str(self._files._strip_protocol(self.place(path)))

    def _put(self, path: Path, put: Callable[[str], object], size: int) -> None:
        """Let `put` make a file of `size` bytes, which has its name only when it is whole."""
        place = self._at(path)
        makes = place if self._is_object_store else f"{place}.part"
        if not self._is_object_store:
            self._files.makedirs(self._files._parent(place), exist_ok=True)
        put(makes)
        found = self._files.info(makes)["size"]
        if found != size:
            raise OSError(f"{found:,} of {size:,} bytes have arrived")
        if makes != place:
            self._files.mv(makes, place)

    def _download(self, checkpoint: Checkpoint, path: Path) -> None:
        place, partial = self.place(checkpoint.path), path.with_name(f"{path.name}.part")
        self._patiently(
            f"{place}: cannot be downloaded",
            lambda: self._files.get_file(self._at(checkpoint.path), str(partial)),
        )
        with partial.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != checkpoint.sha256:
            raise StorageError(
                f"{place}: not the file that was saved: SHA-256 {found[:12]}..., recorded "
                f"{checkpoint.sha256[:12]}... ({partial.stat().st_size:,} of "
                f"{checkpoint.bytes:,} bytes); delete it, and the trial continues from the "
                "checkpoint before it"
            )
        partial.rename(path)

    def _only(self, path: Path) -> dict[str, int]:
        """As `_listing`, of one file: what object stores ask less for."""

        def look() -> dict[str, int]:
            with suppress(FileNotFoundError, NotADirectoryError):
                return {path.name: self._files.info(self._at(path))["size"]}
            return {}

        return self._patiently(f"{self.place(path)}: cannot be looked for", look)

    def _listing(self, folder: Path) -> dict[str, int]:
        def listing() -> dict[str, int]:
            with suppress(FileNotFoundError, NotADirectoryError):
                return {
                    its["name"].rpartition("/")[2]: its["size"]
                    for its in self._files.ls(self._at(folder), detail=True)
                    if its["type"] == "file"
                }
            return {}

        return self._patiently(f"{self.place(folder)}: cannot be listed", listing)

    def _patiently(self, what: str, call: Callable[[], T]) -> T:
        """What `call` gives, tried again while the storage does not answer."""
        for seconds in (*(_SECONDS_BETWEEN_TRIES if self.is_patient else ()), None):
            try:
                return call()
            # Each client has exceptions of its own, and few are `OSError`s.
            except Exception as error:
                if is_full_disk(error):
                    raise
                if seconds is None or isinstance(error, _FINAL):
                    raise StorageError(f"{what}: {_in_words(error)}") from error
                logger.warning("%s: %s; again in %g s", what, _in_words(error), seconds)
                time.sleep(seconds)
        raise AssertionError("unreachable")


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
