"""Which database a store is in, and what can be asked about a store without opening it."""

from pathlib import Path

from scaling.database import Database
from scaling.store.backend import Backend
from scaling.store.lock import Holder
from scaling.store.postgres import PostgreSQL
from scaling.store.sqlite import SQLite


def backend_of(db: Database) -> Backend:
    """What opens the store at `db`."""
    return SQLite(db) if isinstance(db, Path) else PostgreSQL(db)


def exists(db: Database) -> bool:
    """Whether there is anything at `db`; opening it says whether that is a store."""
    return backend_of(db).exists()


def last_holder(db: Database) -> Holder | None:
    """Who holds the writer's lock of the store at `db`, or died with it.

    None if the last one gave it back, or if there never was one.
    """
    return backend_of(db).last_holder()
