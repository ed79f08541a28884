"""A small disk of one's own, which may be full."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path


class SmallDisk:
    """A disk in memory that only those see who are started `within` it, and this by its `seen`.

    Needs root, or a system that lets users make namespaces (user_namespaces(7)) of their own.
    """

    def __init__(self, place: Path, mib: int) -> None:
        """Mount it at `place`; raises `OSError` where that is not allowed."""
        own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        script = 'mount -t tmpfs -o "size=$0m" scaling-test "$1" && echo there && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", *own_user, "--mount", "sh", "-c", script, str(mib), str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout
        assert self._holder.stderr
        if self._holder.stdout.readline() != b"there\n":
            why = self._holder.stderr.read().decode().strip()
            self.close()
            raise OSError(f"no small disk: {why}")
        target = f"--target={self._holder.pid}"
        self.within = ["nsenter", target, *(["--user"] if own_user else []), "--mount"]
        self.within += ["--preserve-credentials"] if own_user else []
        self.within += [f"--wd={os.getcwd()}"]
        self.seen = Path(f"/proc/{self._holder.pid}/root{place}")

    def fill(self) -> None:
        """Take all the room that there is."""
        with (self.seen / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        """Give the room back."""
        (self.seen / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        """The disk is gone once nobody is within."""
        self._holder.communicate()
