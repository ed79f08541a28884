"""All checks in their order."""

from collections.abc import Iterable
from dataclasses import dataclass

from scaling.database import Database
from scaling.doctor import attempts, disks, evaluation_sets, files, gpus, ray_tokens, versions
from scaling.errors import ScalingError
from scaling.findings import Finding, fine, problem
from scaling.orchestrator.status_file import checkpoints_root
from scaling.storage import Storage, storage_at
from scaling.store.engine import exists
from scaling.store.inspection import Inspection, inspect


@dataclass(frozen=True)
class Section:
    """What was found of one subject."""

    name: str
    findings: tuple[Finding, ...]


def examine(
    db: Database,
    checkpoints: str | None = None,
    *,
    is_expected: bool = True,
    digests: bool = False,
) -> list[Section]:
    """Check the store at `db`, its files and this machine.

    A store that is missing is a problem only if it `is_expected`. With `digests` each file of
    weights is read as a whole. Whatever is wrong is a finding; nothing is raised for it.
    """
    found = _store(db, is_expected=is_expected)
    storage, unreached = _storage(db, checkpoints)
    sections = [Section("store", tuple(found.findings))]
    if found.is_read:
        open_ones = attempts.check(db, checkpoints, found.open_attempts)
        sections.append(Section("attempts", tuple(open_ones)))
        if storage is not None:
            saved = tuple(_told(files.check(storage, found, digests=digests), str(storage)))
            sections.append(Section("checkpoints", saved))
    sections.append(Section("disks", (*unreached, *disks.check(db, storage, found))))
    machine = (*versions.check(), *gpus.check(), *ray_tokens.check(), *evaluation_sets.check())
    return [*sections, Section("machine", machine)]


def _store(db: Database, *, is_expected: bool) -> Inspection:
    try:
        is_there = exists(db)
    except ScalingError as error:
        return Inspection([problem(f"it cannot be reached: {error}", str(db), "see the message")])
    if is_there:
        return inspect(db)
    remedy = "`scaling run GRID` and `scaling import PATH` make one"
    if is_expected:
        return Inspection([problem("there is no store", str(db), f"say --db PATH; {remedy}")])
    return Inspection([fine("there is no store yet, only the machine is checked", str(db))])


def _storage(db: Database, checkpoints: str | None) -> tuple[Storage | None, list[Finding]]:
    """Where checkpoints are; or why that is not known."""
    try:
        return storage_at(checkpoints_root(db, checkpoints)), []
    except ScalingError as error:
        return None, [problem(f"checkpoints are not checked: {error}", str(db), "see the message")]


def _told(findings: Iterable[Finding], where: str) -> list[Finding]:
    """`findings`, and what kept the check from its end."""
    told: list[Finding] = []
    try:
        told.extend(findings)
    except (ScalingError, OSError, ValueError) as error:
        told.append(problem(f"not all of it can be read: {error}", where, "see the message"))
    return told
