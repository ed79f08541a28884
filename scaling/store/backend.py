"""What a database has to offer to hold a store, and what is refused in the same words by all."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError

from scaling.database import Database
from scaling.errors import StoreError
from scaling.store.lock import Holder
from scaling.store.tables import SCHEMA_VERSION

REMEDY = "`scaling run GRID` and `scaling import PATH` make one"
"""What who has no store is told."""


class UnavailableError(StoreError):
    """The store cannot be written right now: its disk is full, it is locked, or out of reach."""


class Backend(ABC):
    """A place for one store in a kind of database: opening it, its lock, its errors."""

    @property
    @abstractmethod
    def db(self) -> Database:
        """Where the store is."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything; `open_for_reading` says whether it is a store."""

    @abstractmethod
    def open_for_writing(self) -> Engine:
        """An engine on the store, made if missing and brought to the latest schema.

        Holds the writer's lock until `close`. Raises `StoreError` if another process has it, or
        if what is there is no store.
        """

    @abstractmethod
    def open_for_reading(self) -> Engine:
        """A read-only engine on the store; raises `StoreError` if there is none."""

    @abstractmethod
    def close(self, engine: Engine) -> None:
        """Let go of everything that `engine` was opened with."""

    @abstractmethod
    def last_holder(self) -> Holder | None:
        """Who holds the writer's lock, or died with it; None if the last one gave it back."""

    @abstractmethod
    def explain(self, error: DatabaseError) -> StoreError | None:
        """What the database has against a statement, in our words; None if it is our mistake."""

    @contextmanager
    def transaction(self, engine: Engine) -> Iterator[Connection]:
        """All or nothing; what the database has against it becomes a `StoreError`."""
        try:
            with engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            explained = self.explain(error)
            if explained is None:
                raise  # Ours to mend, not the user's.
            raise explained from error


def check_not_later(version: int, db: Database) -> None:
    """Raise `StoreError` for a schema that only a later version of this program knows."""
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{db} was written by a later version of scaling (schema {version}, this one knows "
            f"up to {SCHEMA_VERSION}); upgrade scaling"
        )


def no_store(db: Database) -> StoreError:
    """For who reads where nothing is."""
    return StoreError(f"there is no store at {db}; {REMEDY}")
