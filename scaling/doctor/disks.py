"""Room and kinds of the file systems that a store and its files are on."""

from collections.abc import Iterator
from pathlib import Path

from scaling.database import Database
from scaling.errors import ScalingError
from scaling.findings import Finding, fine, problem, warning
from scaling.full_disk import bytes_wanted_for
from scaling.orchestrator.filesystems import shared_type
from scaling.storage import Folder, Storage
from scaling.store.inspection import Inspection
from scaling.units import format_bytes

_LITTLE = 2**30
"""Bytes; a store and the logs of a run fit into that, a few checkpoints may not."""


def check(db: Database, storage: Storage | None, found: Inspection) -> Iterator[Finding]:
    """Of the folder of the store's file, and of the checkpoints."""
    if isinstance(db, Path):
        folder = Folder(db.absolute().parent)
        yield from _room(folder, wanted=_LITTLE)
        yield from _kind_for_store(db)
    if storage is None:
        return
    sizes = [saved.bytes for saved in found.saved if isinstance(saved.bytes, int)]
    yield from _room(storage, wanted=max(_LITTLE, bytes_wanted_for(max(sizes, default=0))))
    if isinstance(storage, Folder) and (kind := shared_type(storage.root)):
        yield fine(f"on a network file system ({kind}), which other nodes can see", str(storage))


def _room(storage: Storage, *, wanted: int) -> Iterator[Finding]:
    try:
        free = storage.free_bytes()
    except (ScalingError, OSError) as error:
        yield problem(f"free room is not known: {error}", str(storage), "see the message")
        return
    if free is None:
        yield fine("how much room is left is not known there", str(storage))
    elif free < wanted:
        yield warning(
            f"{format_bytes(free)} are free; {format_bytes(wanted)} are wanted before the next "
            "checkpoint",
            str(storage),
            "make room: a run pauses when nothing is left",
        )
    else:
        yield fine(f"{format_bytes(free)} are free", str(storage))


def _kind_for_store(db: Path) -> Iterator[Finding]:
    kind = shared_type(db.absolute().parent)
    if kind is not None:
        yield warning(
            f"on a network file system ({kind}): readers on other machines than the writer's may "
            "see a torn file, because SQLite's write-ahead log needs memory that both share",
            str(db),
            "use it from one machine at a time, keep it on a local disk, or give --db a database "
            "of a PostgreSQL server",
        )
