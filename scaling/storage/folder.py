"""A folder that all nodes see under the same path; attempts work in it."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from scaling.trial import Checkpoint


@dataclass(frozen=True)
class Folder:
    """The files below a folder."""

    root: Path
    """Absolute; made by the first trial that needs it."""

    def __str__(self) -> str:
        """See `Storage.__str__`."""
        return str(self.root)

    def place(self, path: Path) -> str:
        """See `Storage.place`."""
        return str(self.root / path)

    def check(self) -> None:
        """See `Storage.check`; a folder that cannot be written fails the first trial."""

    def free_bytes(self) -> int | None:
        """See `Storage.free_bytes`: on its file system; quotas are not known."""
        for folder in (self.root, *self.root.parents):
            with suppress(OSError):
                return shutil.disk_usage(folder).free
        return None

    def workplace(self, trial_id: str, attempt: int) -> Path:
        """See `Storage.workplace`: where the files are to stay."""
        return self.root / trial_id

    def handed_out(self, checkpoint: Checkpoint) -> Checkpoint:
        """See `Storage.handed_out`: with its absolute path."""
        return replace(checkpoint, path=self.root / checkpoint.path)

    def relative(self, path: Path) -> Path:
        """See `Storage.relative`."""
        return path.relative_to(self.root)

    @contextmanager
    def fetched(self, checkpoint: Checkpoint) -> Iterator[Checkpoint]:
        """See `Storage.fetched`: as it is."""
        yield self.handed_out(checkpoint)

    def sizes(self, paths: Iterable[Path]) -> dict[Path, int]:
        """See `Storage.sizes`."""
        found = {}
        for path in paths:
            with suppress(OSError):
                found[path] = (self.root / path).stat().st_size
        return found

    def names(self, folder: Path) -> list[str]:
        """See `Storage.names`."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(os.listdir(self.root / folder))
        return []

    def read(self, path: Path, start: int = 0) -> bytes:
        """See `Storage.read`."""
        with suppress(FileNotFoundError), (self.root / path).open("rb") as file:
            file.seek(start)
            return file.read()
        return b""

    def write(self, path: Path, data: bytes) -> None:
        """See `Storage.write`."""
        whole = self.root / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        temporary = whole.with_name(f"{whole.name}.part")
        temporary.write_bytes(data)
        temporary.replace(whole)

    def append(self, path: Path, data: bytes) -> None:
        """See `Storage.append`."""
        whole = self.root / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        with whole.open("ab") as file:
            file.write(data)

    def delete(self, path: Path) -> None:
        """See `Storage.delete`."""
        (self.root / path).unlink(missing_ok=True)
