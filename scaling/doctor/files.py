"""Files of weights against the rows about them."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from scaling.errors import StorageError
from scaling.findings import Finding, fine, problem, some, warning
from scaling.storage import Folder, Storage
from scaling.store.inspection import Inspection, SavedFile
from scaling.trial import Checkpoint
from scaling.units import format_bytes

_WEIGHTS = ".pt"
_UNFINISHED = (".tmp", ".part")
_LOST = (
    "bring the files back, or say where they are with --checkpoints; else an unfinished trial "
    "goes on from an earlier checkpoint, and a finished one keeps its numbers and cannot be "
    "measured again"
)


def check(storage: Storage, found: Inspection, *, digests: bool) -> Iterator[Finding]:
    """Files that are missing, of another size or content, or that no row knows."""
    sizes = storage.sizes([Path(saved.path) for saved in found.saved])
    missing = [saved.path for saved in found.saved if Path(saved.path) not in sizes]
    if missing and len(missing) == len(found.saved):
        yield problem(f"none of {len(missing):,} checkpoints is there", str(storage), _LOST)
    elif missing:
        yield problem(f"{len(missing):,} checkpoints are missing", some(missing), _LOST)
    there = [saved for saved in found.saved if Path(saved.path) in sizes]
    other = [
        f"{saved.path} ({sizes[Path(saved.path)]:,} of {saved.bytes} bytes)"
        for saved in there
        if sizes[Path(saved.path)] != saved.bytes
    ]
    if other:
        yield problem(f"{len(other):,} checkpoints are of another size", some(other), _LOST)
    whole = [saved for saved in there if sizes[Path(saved.path)] == saved.bytes]
    if digests:
        yield from _contents(storage, whole)
    if not missing and not other:
        yield fine(
            f"{len(there):,} checkpoints are there and have the recorded sizes", str(storage)
        )
    yield from _strangers(storage, found)


def _contents(storage: Storage, whole: Iterable[SavedFile]) -> Iterator[Finding]:
    changed = []
    for saved in whole:
        try:
            is_same = _digest(storage, saved) == saved.sha256
        except (StorageError, OSError) as error:  # An address checks what it sends.
            yield problem(f"it cannot be compared: {error}", saved.path, _LOST)
            continue
        if not is_same:
            changed.append(saved.path)
    if changed:
        yield problem(
            f"{len(changed):,} checkpoints are not, byte for byte, what was saved (SHA-256)",
            some(changed),
            _LOST,
        )


def _digest(storage: Storage, saved: SavedFile) -> str:
    checkpoint = Checkpoint(
        trial_id=saved.trial_id,
        samples_seen=0,
        path=Path(saved.path),
        sha256=saved.sha256,
        bytes=saved.bytes if isinstance(saved.bytes, int) else 0,
    )
    with storage.fetched(checkpoint) as local, local.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _strangers(storage: Storage, found: Inspection) -> Iterator[Finding]:
    """Files that take room and that no row knows; in an address only beside known files."""
    known = {saved.path for saved in found.saved}
    folders = sorted({saved.trial_id for saved in found.saved})
    if isinstance(storage, Folder):
        folders = [name for name in storage.names(Path()) if (storage.root / name).is_dir()]
    unknown, unfinished = [], []
    for folder in folders:
        for name in storage.names(Path(folder)):
            if name.endswith(_WEIGHTS) and f"{folder}/{name}" not in known:
                unknown.append(Path(folder, name))
            elif name.endswith(_UNFINISHED):
                unfinished.append(Path(folder, name))
    if unknown:
        yield warning(
            f"{len(unknown):,} files of weights ({_room(storage, unknown)}) are in no row",
            some([*map(str, unknown)]),
            "of another store in the same folder, of attempts that go on, or of a removed study: "
            "delete them if none of these needs them",
        )
    if unfinished:
        yield warning(
            f"{len(unfinished):,} files ({_room(storage, unfinished)}) are not written to the end",
            some([*map(str, unfinished)]),
            "an attempt that goes on may be writing one; the next attempt at the trial deletes "
            "them, and if none comes, delete them",
        )


def _room(storage: Storage, paths: list[Path]) -> str:
    with suppress(OSError):
        return format_bytes(sum(storage.sizes(paths).values()))
    return "unknown size"
