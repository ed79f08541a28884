"""The store: everything asked, tried and measured, in one file; nothing else imports SQLAlchemy.

`Store(path)` writes and is the only writer; `Store.read(path)` only reads.
"""

from scaling.store.importing import ImportSummary, import_published
from scaling.store.queries import Compute, Filters, Recorded, Study
from scaling.store.recording import RefusedError
from scaling.store.states import Ending, Failure, FailureKind, OpenAttempt, TrialState, Worker
from scaling.store.store import Reader, Store

__all__ = [
    "Compute",
    "Ending",
    "Failure",
    "FailureKind",
    "Filters",
    "ImportSummary",
    "OpenAttempt",
    "Reader",
    "Recorded",
    "RefusedError",
    "Store",
    "Study",
    "TrialState",
    "Worker",
    "import_published",
]
