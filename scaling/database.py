"""Where a store is: in a file of its own, or in a database of a PostgreSQL server."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scaling.errors import StoreError

_DRIVERS = ("postgresql", "postgresql+psycopg")
_EXAMPLE = "postgresql+psycopg://user@host/database"


@dataclass(frozen=True)
class ServerURL:
    """The address of a database of a PostgreSQL server. As text it hides its password."""

    secret: str = field(repr=False)
    """As it was written, with the password if it has one: for the server, never for people."""

    def __post_init__(self) -> None:
        """Raise `StoreError` if it is the address of something else."""
        try:
            parts = urlsplit(self.secret)
            known = parts.scheme in _DRIVERS and len(parts.path) > 1 and parts.port != 0
        except ValueError:
            known = False
        if not known:
            raise StoreError(
                f"{self}: a store is a file, or a database of a PostgreSQL server: {_EXAMPLE}"
            )

    def __str__(self) -> str:
        """For people."""
        return without_passwords(self.secret)

    @property
    def name(self) -> str:
        """Of the database."""
        return unquote(urlsplit(self.secret).path[1:])

    @property
    def has_password(self) -> bool:
        """Whether it holds a secret."""
        return str(self) != self.secret


Database = Path | ServerURL
"""Where a store is."""


def parse_database(text: str | Path) -> Database:
    """A file, or the address of a database; raises `StoreError` if it is neither."""
    return ServerURL(str(text)) if "://" in str(text) else Path(text)


def without_passwords(text: str) -> str:
    """`text` with `***` in place of each password of an address."""
    hidden = re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", text)
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", hidden)


def default_checkpoints(db: Database) -> Path:
    """Where checkpoints are unless somebody says otherwise: beside the file of the store.

    Raises `StoreError` for a database of a server, which has no such place.
    """
    if isinstance(db, ServerURL):
        raise StoreError(
            f"say --checkpoints: {db} is on a server, and nothing lies beside it; checkpoints, "
            "logs and the status of runs need a folder that every node sees, or an address"
        )
    return db.with_suffix(".checkpoints")


def run_files(db: Database, checkpoints: str | Path | None) -> Path:
    """What the files of runs are named after: `results.log` and so on for `results.db`.

    That is the store's own file. For the database `lab` of a server it is `lab.db` in the folder
    of all checkpoints, or in the working directory if `checkpoints` is an address.
    Raises `StoreError` for a database of a server without `checkpoints`.
    """
    if isinstance(db, Path):
        return db
    from scaling.storage import is_address

    root = checkpoints or default_checkpoints(db)
    folder = Path.cwd() if is_address(root) else Path(root)
    return folder / f"{db.name.replace('/', '_')}.db"
