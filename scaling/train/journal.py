"""What an attempt has found, on disk before anyone is told: an append-only file of JSON lines.

If the driver dies between a result and its own record of it, the next driver reads it here.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scaling.errors import NoRoomError, StoreError
from scaling.full_disk import is_full_disk
from scaling.trial import Checkpoint, CurvePoint, Measurement

Result = Checkpoint | Measurement | CurvePoint

_KINDS = {kind.__name__: kind for kind in (Checkpoint, Measurement, CurvePoint)}


class Journal:
    """The journal of one attempt, open for writing."""

    def __init__(self, directory: Path, attempt: int) -> None:
        """Open `directory/journal-ATTEMPT.jsonl`, without what was torn by an earlier crash."""
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"journal-{attempt}.jsonl"
        # Unbuffered: what found no room is not to be written later.
        self._file = self._path.open("ab", buffering=0)
        self._whole = self._path.read_bytes().rfind(b"\n") + 1
        self._file.truncate(self._whole)

    def record(self, result: Result) -> Result:
        """`result`, once it is on the disk.

        Raises `NoRoomError` if the disk has no room for it; then it may be recorded again.
        """
        data = rest = line(result)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            if not is_full_disk(error):
                raise
            self._file.truncate(self._whole)
            raise NoRoomError(f"{self._path}: no room is left for what was found") from error
        self._whole += len(data)
        return result

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(directory: Path) -> list[Result]:
    """Results of every attempt in `directory`, in the order of attempts and of writing.

    A last line without its end was being written when its worker died: it counts as not written.
    """
    paths = sorted(directory.glob("journal-*.jsonl"), key=_attempt)
    return [result for path in paths for result in parse(path.read_bytes(), str(path))]


def line(result: Result) -> bytes:
    """`result` as a line of a journal."""
    fields = {"event": type(result).__name__, **asdict(result)}
    return json.dumps(fields, default=str).encode() + b"\n"


def parse(lines: bytes, place: str) -> list[Result]:
    """The results in the whole ones of `lines`, which are at `place`.

    Raises `StoreError` if one of them is no line of a journal.
    """
    whole = lines.split(b"\n")[:-1]
    return [_result(text, f"{place}:{number}") for number, text in enumerate(whole, start=1)]


def _attempt(path: Path) -> int:
    return int(path.stem.removeprefix("journal-"))


def _result(line: bytes, place: str) -> Result:
    try:
        fields: dict[str, Any] = json.loads(line)
        kind = _KINDS[fields.pop("event")]
        if "path" in fields:
            fields["path"] = Path(fields["path"])
        return kind(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{place}: not a line of a journal ({error}): {line[:80]!r}") from error
