"""The real trainer, whose process is killed while it saves: `SCALING_TEST_KILL` says where.

TRIAL SAMPLES PLACE: part of the trial's id; which checkpoint; after how many bytes of it, or
`written` (all of them, under the temporary name), `renamed` (nobody was told), or `told` (the
journal knows it).
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from scaling import train as real
from scaling.train import checkpoints, journal
from scaling.train.journal import Result
from scaling.trial import Checkpoint, Event, Work


def train(work: Work) -> Iterator[Event]:
    part, samples_seen, place = os.environ.get("SCALING_TEST_KILL", "nobody 0 0").split()
    if part in work.trial.id:
        _kill_at(place, f"{int(samples_seen):012d}-{work.attempt}")
    return real.train(work)


def _kill_at(place: str, name: str) -> None:
    record, rename = journal.Journal.record, Path.rename
    write = checkpoints._DigestingWriter.write
    written = 0

    def write_some(self: checkpoints._DigestingWriter, data: bytes) -> int:
        nonlocal written
        if name not in str(self.file.name) or not place.isdigit():
            return write(self, data)
        left = int(place) - written
        if left <= len(data):
            write(self, bytes(data)[:left])
            self.flush()
            die()
        written += len(data)
        return write(self, data)

    def rename_or_die(self: Path, target: Path) -> Path:
        if name in self.name and place == "written":
            die()
        renamed = rename(self, target)
        if name in self.name and place == "renamed":
            die()
        return renamed

    def record_or_die(self: journal.Journal, result: Result) -> Result:
        recorded = record(self, result)
        if isinstance(result, Checkpoint) and name in result.path.name:
            die()
        return recorded

    checkpoints._DigestingWriter.write = write_some  # type: ignore[method-assign]
    Path.rename = rename_or_die  # type: ignore[method-assign, assignment]
    journal.Journal.record = record_or_die  # type: ignore[method-assign]


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")
