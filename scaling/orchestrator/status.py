"""How far everything is, as seen from another process than the driver's."""

import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from scaling.database import Database
from scaling.orchestrator import processes
from scaling.orchestrator.files import Files
from scaling.orchestrator.status_file import SECONDS_BETWEEN, checkpoints_root, last_said
from scaling.store import FailedTrial, Holder, Overview, Store, last_holder

_SECONDS_UNTIL_SILENT = 15 * SECONDS_BETWEEN
"""A driver on another machine that has said nothing for so long counts as lost."""


@dataclass(frozen=True, kw_only=True)
class Driver:
    """The process that writes the store now, or that wrote it last."""

    state: Literal["alive", "ended", "died", "silent"]
    """A driver of another machine that says nothing any more is 'silent'."""
    host: str
    pid: int
    since: str
    until: str | None
    """When it was last heard of, if it is not alive."""

    @property
    def is_alive(self) -> bool:
        """Whether it still works, as far as can be told from here."""
        return self.state == "alive"


@dataclass(frozen=True, kw_only=True)
class Status:
    """What `scaling status` shows."""

    driver: Driver | None
    """None if no run has been made yet with this store."""
    overview: Overview
    progress: dict[str, Any]
    """What the driver says about itself (`status_file`); empty unless it is alive."""
    files: Files
    """Where the logs of attempts are."""

    @property
    def running(self) -> list[dict[str, Any]]:
        """Where each trial is that runs (see `status_file.described`)."""
        found: list[dict[str, Any]] = self.progress.get("running", [])
        return found

    def log(self, trial: FailedTrial) -> str | None:
        """Where the log of its latest attempt is, if that wrote one."""
        return self.files.written_log(trial.trial_id, trial.attempt or 0)


def read_status(
    db: Database, *, study: str | None = None, checkpoints: str | Path | None = None
) -> Status:
    """Read the store at `db` and what its driver says; nothing is written.

    Logs are looked for in `checkpoints`, or where the latest driver put them.
    Raises `StoreError` if there is no store, or no such study in it.
    """
    said = last_said(db, checkpoints)
    # The store after the file: what the file calls finished is then in the store.
    with Store.read(db) as store:
        overview = store.overview(study)
    driver = _driver(said, last_holder(db))
    root = checkpoints_root(db, checkpoints)
    # The lock may be that of an import, which says nothing about itself.
    speaks = driver is not None and driver.is_alive and driver.pid == said.get("pid")
    return Status(
        driver=driver,
        overview=overview,
        progress=said if speaks and study in (None, said.get("study")) else {},
        files=Files(root),
    )


def latest_driver(db: Database, checkpoints: str | Path | None = None) -> Driver | None:
    """Who writes the store at `db`, or wrote it last; the store itself is not opened."""
    return _driver(last_said(db, checkpoints), last_holder(db))


def _driver(said: dict[str, Any], holder: Holder | None) -> Driver | None:
    """The lock knows who writes, the status file who ran; both may be of a process that died."""
    if holder and _lives(holder):
        since, until = holder.started, None
        return Driver(state="alive", host=holder.host, pid=holder.pid, since=since, until=until)
    if not said:
        return None
    until = said.get("ended") or said["updated"]
    state: Literal["alive", "ended", "died", "silent"] = "ended" if said.get("ended") else "died"
    if state == "died" and said["host"] != socket.gethostname():
        silence = datetime.now(UTC) - datetime.fromisoformat(said["updated"])
        is_heard = silence.total_seconds() < _SECONDS_UNTIL_SILENT
        state, until = ("alive", None) if is_heard else ("silent", until)
    return Driver(
        state=state, host=said["host"], pid=said["pid"], since=said["started"], until=until
    )


def _lives(holder: Holder) -> bool:
    """Whether it writes: as a server says, or a look at the processes of this machine."""
    if holder.is_alive is not None:
        return holder.is_alive
    if holder.host != socket.gethostname():
        return False
    taken = datetime.fromisoformat(holder.started).timestamp()
    return processes.started_before(holder.pid, taken) is not None
