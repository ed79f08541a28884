"""The store: everything asked, tried and measured; nothing else imports SQLAlchemy.

It is a file, or a database of a PostgreSQL server (`scaling.database`). `Store(db)` writes and is
the only writer; `Store.read(db)` only reads. Importing what others measured is in
`scaling.store.imports`.
"""

from scaling.store.backend import UnavailableError
from scaling.store.chances import Retry
from scaling.store.columns import Metrics
from scaling.store.engine import exists, last_holder
from scaling.store.lock import Holder
from scaling.store.measuring import MeasuringStore
from scaling.store.overview import FailedTrial, KnownTrial, Overview
from scaling.store.planning import GRID, IMPORTED_GRID
from scaling.store.queries import Compute, Filters, Recorded, Study
from scaling.store.recording import RefusedError
from scaling.store.states import Ending, Failure, FailureKind, OpenAttempt, TrialState, Worker
from scaling.store.store import Reader, Store
from scaling.store.throughput import Measured

__all__ = [
    "GRID",
    "IMPORTED_GRID",
    "Compute",
    "Ending",
    "FailedTrial",
    "Failure",
    "FailureKind",
    "Filters",
    "Holder",
    "KnownTrial",
    "Measured",
    "MeasuringStore",
    "Metrics",
    "OpenAttempt",
    "Overview",
    "Reader",
    "Recorded",
    "RefusedError",
    "Retry",
    "Store",
    "Study",
    "TrialState",
    "UnavailableError",
    "Worker",
    "exists",
    "last_holder",
]
