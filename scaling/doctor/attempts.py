"""Attempts that have not ended although nobody makes them."""

from collections.abc import Iterator, Sequence

from scaling.database import Database
from scaling.errors import ScalingError
from scaling.findings import Finding, fine, some, warning
from scaling.orchestrator.status import Driver, latest_driver


def check(
    db: Database, checkpoints: str | None, open_attempts: Sequence[str]
) -> Iterator[Finding]:
    """Whether a driver lives to end `open_attempts`."""
    driver = _driver(db, checkpoints)
    if driver is not None and driver.is_alive:
        yield fine(
            f"process {driver.pid} on {driver.host} writes the store since {driver.since}; "
            f"{len(open_attempts):,} attempts go on",
            str(db),
        )
    elif open_attempts:
        yield warning(
            f"{len(open_attempts):,} attempts have no end, and no driver lives that will give "
            f"them one{_last(driver)}: {some([*open_attempts])}",
            str(db),
            "`scaling run GRID` goes on from their last checkpoints",
        )
    else:
        yield fine("no attempt is left without an end", str(db))


def _driver(db: Database, checkpoints: str | None) -> Driver | None:
    try:
        return latest_driver(db, checkpoints)
    except (ScalingError, KeyError, ValueError):
        return None  # A status file of something else; the lock alone says too little.


def _last(driver: Driver | None) -> str:
    if driver is None:
        return ""
    return f" (the last one, process {driver.pid} on {driver.host}, {driver.state})"
