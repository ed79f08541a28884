"""A real PostgreSQL server of the tests' own, in a temporary folder and on a Unix socket."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from scaling.database import ServerURL

_USER = "tester"


def why_not() -> str | None:
    """Why there can be no server here; None if there can."""
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed: pip install 'scaling[postgres]'"
    return None if _programs() else "PostgreSQL's server is not installed (package postgresql)"


class Server:
    """A server that nobody else reaches. It forgets what it is told if the machine dies."""

    def __init__(self, folder: Path) -> None:
        """Make a server in `folder`, which is empty, and start it."""
        programs, self._folder = _programs(), folder
        assert programs
        self._programs = programs
        self._options: dict[str, Any] = {}
        if os.geteuid() == 0:  # Whom PostgreSQL does not serve.
            user = pwd.getpwnam("nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        command = [programs / "initdb", "-D", folder / "data", "-U", _USER, "--auth=trust"]
        self._call([*command, "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"])
        self._numbers = count()
        self.start()

    def start(self) -> None:
        """Start it; it takes connections then."""
        settings = [f"unix_socket_directories={self._folder}", "listen_addresses=", "fsync=off"]
        settings += ["max_connections=50", "shared_buffers=16MB", "wal_level=minimal"]
        settings += ["max_wal_senders=0"]
        words = [word for setting in settings for word in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *words],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._options,
            )
        self._await()

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)

    def place(self) -> ServerURL:
        """Where a new store can be: in a schema of its own."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return self.url(name)

    def url(self, schema: str) -> ServerURL:
        """The address of a schema."""
        options = f"host={self._folder}&options=-csearch_path%3D{schema}"
        return ServerURL(f"postgresql+psycopg://{_USER}:secret@/postgres?{options}")

    def execute(self, statement: str, schema: str = "public") -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        import psycopg

        place = {"host": str(self._folder), "user": _USER, "dbname": "postgres"}
        with psycopg.connect(**place, options=f"-csearch_path={schema}", autocommit=True) as c:
            cursor = c.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _await(self) -> None:
        deadline = time.monotonic() + 30
        command = [self._programs / "pg_isready", "-q", "-h", self._folder]
        while subprocess.run(command, check=False).returncode != 0:
            log = (self._folder / "log").read_text()
            assert self._process.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.05)

    def _call(self, command: list[Any]) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self._folder, check=False, **self._options
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def server() -> Iterator[Server]:
    """A server, for as long as this lasts."""
    # Not below the folder of the tests: paths of sockets may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="scaling-pg-"))
    try:
        running = Server(folder)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def schema_of(url: ServerURL) -> str:
    """The schema of a place that `Server.place` gave."""
    return url.secret.rpartition("%3D")[2]


def _programs() -> Path | None:
    """The folder of the server's programs; Debian has them outside of PATH."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    needed = ("initdb", "postgres", "pg_isready")
    return next((f for f in folders if all((f / name).exists() for name in needed)), None)
