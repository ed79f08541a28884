"""Drivers one after the other, each in a process of its own that need not import anything.

As a program: DB TRAINER GRID. Each line on stdin, a JSON object of environment variables, forks a
driver that trains in its own process; answers are its process id, and its status once it ended.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

FOLDER = Path(__file__).parent


class Forks:
    """The drivers of one store."""

    def __init__(self, db: Path, trainer: str, grid: dict[str, Any]) -> None:
        path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, str(FOLDER / "forks.py"), str(db), trainer, json.dumps(grid)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @classmethod
    @contextmanager
    def of(cls, db: Path, trainer: str, grid: dict[str, Any]) -> Iterator[Self]:
        forks = cls(db, trainer, grid)
        try:
            yield forks
        finally:
            forks._process.communicate(timeout=60)

    def start(self, **environment: str) -> int:
        """Begin a driver; its process id."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(environment) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> int:
        """Wait for the driver; its exit code, or the number of the signal that killed it, < 0."""
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout
        assert self._process.stderr
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        return int(line)


def main() -> None:
    import open_clip  # noqa: F401  # what takes long
    from small_plans import plan_of

    import scaling.families.clip.network
    import scaling.train.worker  # noqa: F401
    from scaling.orchestrator import Lines, LocalExecutor, run_plan
    from scaling.store import Store

    db, trainer, grid = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    plan = plan_of(**grid)

    def drive() -> int:
        with Store(db) as store:
            return run_plan(
                plan,
                store,
                checkpoints=db.parent / "checkpoints",
                executor=LocalExecutor(trainer),
                show=Lines(sys.stderr),
            ).exit_code

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os.environ.update(json.loads(line))
            code = 1
            try:
                code = drive()
            except BaseException:  # noqa: BLE001  # it must not become another of these loops
                traceback.print_exc()
            os._exit(code)
        say(pid)
        say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
