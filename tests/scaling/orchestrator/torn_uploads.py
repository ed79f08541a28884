"""A file system whose uploads can be cut, and the fake trainer in a process that knows it.

`torn:///folder` is a folder. A file `cut` in it is the order to write half of the next checkpoint
and be killed; `refuse` fails every upload.
"""

import os
import signal
from pathlib import Path
from typing import Any

import fsspec
from fake_trainer import train
from fsspec.implementations.local import LocalFileSystem

__all__ = ["train"]


class TornFiles(LocalFileSystem):
    protocol = "torn"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("torn://")))

    def put_file(self, source: str, target: str, **options: Any) -> None:
        for folder in Path(target).parents:
            if (folder / "refuse").exists():
                raise PermissionError(f"no uploads to {folder}")
            if (folder / "cut").exists():
                (folder / "cut").unlink()
                data = Path(source).read_bytes()
                Path(target).write_bytes(data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
        super().put_file(source, target, **options)


fsspec.register_implementation("torn", TornFiles, clobber=True)
