"""The store: one database with everything that was asked, tried and measured."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from sqlalchemy import Connection, Engine

from scaling.database import Database
from scaling.plan import Plan
from scaling.store import (
    chances,
    columns,
    evaluated,
    lineage,
    listing,
    memory,
    overview,
    planning,
    queries,
    recording,
    removal,
    saved,
    throughput,
    tidy,
)
from scaling.store.backend import UnavailableError
from scaling.store.chances import Retry
from scaling.store.columns import Columns, Head, Metrics
from scaling.store.engine import backend_of
from scaling.store.evaluated import StudyTrial
from scaling.store.lineage import Origin
from scaling.store.overview import KnownTrial, Overview
from scaling.store.queries import Compute, Filters, Recorded, Study
from scaling.store.removal import Removal
from scaling.store.saved import SavedTrial
from scaling.store.states import Ending, Failure, TrialState, Worker
from scaling.store.throughput import Measured
from scaling.store.tidy import Chosen
from scaling.trial import Checkpoint, Event, Execution, Trial

T = TypeVar("T")


class Reader:
    """Everything that can be asked of a store. Raises `StoreError` where there is none."""

    def __init__(self, db: Database) -> None:
        """Open the store at `db` for reading only; it must exist."""
        self.db = db
        self._backend = backend_of(db)
        self._engine: Engine = self._backend.open_for_reading()

    def close(self) -> None:
        """Let go of the file, or of the server; and of the lock of who writes."""
        self._backend.close(self._engine)

    def __enter__(self) -> Self:
        """The store itself; closed at the end of the `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """See `close`."""
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._backend.transaction(self._engine) as connection:
            yield connection

    def points(
        self, *, compute: Compute = "published", **filters: Unpack[Filters]
    ) -> list[dict[str, Any]]:
        """The measurements of the cells that studies want: one row a metric, in a fixed order.

        Columns: study, dataset, schedule, task, metric, family, model, samples_seen, seed, trial,
        value, epochs over the training set, evaluation_set, skipped_images, gflops_per_sample and
        params (each but the value None where it is not known). The filters are study, dataset,
        schedule, family, task and metric.
        Raises `StoreError` if nothing matches because a filter names what is not there, or because
        nothing was measured yet.
        """
        with self._transaction() as connection:
            return queries.points(connection, compute, filters)

    def tidy(self, chosen: Chosen | None = None) -> Iterator[dict[str, Any]]:
        """See `scaling.store.tidy.tidy`; one snapshot, whoever writes meanwhile."""
        with self._transaction() as connection:
            yield from tidy.tidy(connection, chosen or {})

    def trials(self, chosen: Chosen | None = None) -> list[dict[str, Any]]:
        """See `scaling.store.listing.trials`."""
        with self._transaction() as connection:
            return listing.trials(connection, chosen or {})

    def dossier(self, prefix: str) -> listing.Dossier:
        """See `scaling.store.listing.dossier`."""
        with self._transaction() as connection:
            return listing.dossier(connection, prefix)

    def removal(self, study: str) -> Removal:
        """See `scaling.store.removal.removal`."""
        with self._transaction() as connection:
            return removal.removal(connection, study)

    def columns(
        self, compute: Compute, filters: Filters, metrics: Metrics | None = None
    ) -> Columns:
        """See `scaling.store.columns.columns`."""
        with self._transaction() as connection:
            return columns.columns(connection, compute, filters, metrics)

    def heads(self) -> list[Head]:
        """All studies by name, without what they have; see `studies`."""
        with self._transaction() as connection:
            return columns.heads(connection)

    def rows_that_fit(self, trial: Trial, execution: Execution) -> dict[str, int]:
        """See `scaling.store.memory.rows_that_fit`."""
        with self._transaction() as connection:
            return memory.rows_that_fit(connection, trial, execution)

    def slices_without_progress(self, trial_id: str) -> int:
        """See `scaling.store.chances.slices_without_progress`."""
        with self._transaction() as connection:
            return chances.slices_without_progress(connection, trial_id)

    def studies(self) -> list[Study]:
        """All studies, in the order in which they were first recorded."""
        with self._transaction() as connection:
            return queries.studies(connection)

    def counts(self, study: str) -> dict[TrialState, int]:
        """How many trials of `study` are in each state."""
        with self._transaction() as connection:
            return queries.counts(connection, study)

    def recorded(self, trial_ids: Sequence[str]) -> dict[str, Recorded]:
        """What the store has of each of these trials, by id; unknown ones are absent."""
        with self._transaction() as connection:
            return queries.recorded(connection, trial_ids)

    def values(self, trial_ids: Sequence[str]) -> dict[tuple[str, int, str, str], float]:
        """See `scaling.store.queries.values`."""
        with self._transaction() as connection:
            return queries.values(connection, trial_ids)

    def state(self, trial_id: str) -> TrialState:
        """The state of a trial."""
        return self.recorded([trial_id])[trial_id].state

    def checkpoints(self, trial_id: str) -> list[Checkpoint]:
        """A trial's checkpoints, ascending; paths relative to the folder of all checkpoints."""
        return self.recorded([trial_id])[trial_id].checkpoints

    def measured(self, trial_id: str) -> set[tuple[int, str]]:
        """The samples seen and tasks that a trial was measured at."""
        return self.recorded([trial_id])[trial_id].measured

    def origin(self, trial_id: str, trunk_id: str) -> Origin | None:
        """See `scaling.store.lineage.origin`."""
        with self._transaction() as connection:
            return lineage.origin(connection, trial_id, trunk_id)

    def with_forced(self) -> set[str]:
        """See `scaling.store.lineage.with_forced`."""
        with self._transaction() as connection:
            return lineage.with_forced(connection)

    def asked_at(self, trial_id: str) -> set[int]:
        """See `scaling.store.lineage.asked_at`."""
        with self._transaction() as connection:
            return lineage.asked_at(connection, trial_id)

    def throughputs(self) -> list[Measured]:
        """See `scaling.store.throughput.throughputs`."""
        with self._transaction() as connection:
            return throughput.throughputs(connection)

    def overview(self, study: str | None = None, latest: int = 5) -> Overview:
        """See `scaling.store.overview.overview`."""
        with self._transaction() as connection:
            return overview.overview(connection, study, latest)

    def known_trial(self, prefix: str) -> KnownTrial:
        """See `scaling.store.overview.known_trial`."""
        with self._transaction() as connection:
            return overview.known_trial(connection, prefix)

    def grid_of(self, study: str | None) -> tuple[str, str]:
        """See `scaling.store.evaluated.grid_of`."""
        with self._transaction() as connection:
            return evaluated.grid_of(connection, study)

    def study_trials(self, study: str) -> list[StudyTrial]:
        """See `scaling.store.evaluated.study_trials`."""
        with self._transaction() as connection:
            return evaluated.study_trials(connection, study)

    def saved_trials(self, prefix: str = "") -> list[SavedTrial]:
        """See `scaling.store.saved.saved_trials`."""
        with self._transaction() as connection:
            return saved.saved_trials(connection, prefix)

    def saved_trial(self, prefix: str) -> SavedTrial:
        """See `scaling.store.saved.saved_trial`."""
        with self._transaction() as connection:
            return saved.saved_trial(connection, prefix)


class Store(Reader):
    """A store that this process writes, and no other: opening it takes the writer's lock."""

    def __init__(self, db: Database) -> None:
        """Open the store at `db`, made if missing; `StoreError` if another process writes it."""
        self.db = db
        self.when_unavailable: Callable[[UnavailableError], bool] | None = None
        """Told that something could not be written; whether to try again. It may wait."""
        self._backend = backend_of(db)
        self._engine = self._backend.open_for_writing()

    @staticmethod
    def read(db: Database) -> Reader:
        """The store at `db`, for reading only, whoever writes it."""
        return Reader(db)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction; what is in it is recorded as a whole or not at all."""
        with self._transaction() as connection:
            yield connection

    def record_plan(self, plan: Plan) -> None:
        """Add the study, trials and cells that are not there; mark cells no longer asked for."""
        self._write(lambda connection: planning.record_plan(connection, plan))

    def start_attempt(self, trial_id: str, began: Checkpoint | None = None) -> int:
        """The number of an attempt that begins now; earlier ones can record no more.

        `began` is the recorded checkpoint that it goes on from, if it does from any.
        """
        return self._write(lambda c: recording.start_attempt(c, trial_id, began))

    def set_worker(self, trial_id: str, attempt: int, worker: Worker) -> None:
        """Say which process makes an attempt."""
        self._write(lambda c: recording.set_worker(c, trial_id, attempt, worker))

    def record(self, trial_id: str, attempt: int, events: Iterable[Event]) -> int:
        """Record what an attempt yielded, at once; the number of measurements that are new.

        Checkpoint paths are relative to the folder of all checkpoints. Raises `RefusedError` if
        the attempt is not the trial's latest, or contradicts what is recorded.
        """
        kept = tuple(events)
        return self._write(lambda c: recording.record(c, trial_id, attempt, kept))

    def finish(
        self, trial_id: str, attempt: int, ending: Ending, events: Iterable[Event] = ()
    ) -> int:
        """Close an attempt with the last `events` that it left; as `record` otherwise."""
        kept = tuple(events)
        return self._write(lambda c: recording.finish(c, trial_id, attempt, ending, kept))

    def forget(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Forget checkpoints whose files were deleted."""
        self._write(lambda connection: lineage.forget(connection, checkpoints))

    def remove(self, expected: Removal) -> None:
        """See `scaling.store.removal.remove`."""
        self._write(lambda connection: removal.remove(connection, expected))

    def retry(self, which: Retry) -> list[str]:
        """See `scaling.store.chances.retry`."""
        return self._write(lambda connection: chances.retry(connection, which))

    def set_states(
        self, trial_ids: Sequence[str], state: TrialState, failure: Failure | None = None
    ) -> None:
        """Set the state of trials that no attempt is at, e.g. because their trunk failed."""
        self._write(lambda c: recording.set_states(c, trial_ids, state, failure))

    def _write(self, action: Callable[[Connection], T]) -> T:
        """Do `action` in one transaction, again for as long as `when_unavailable` wants it."""
        while True:
            try:
                with self.writing() as connection:
                    return action(connection)
            except UnavailableError as error:
                if self.when_unavailable is None or not self.when_unavailable(error):
                    raise
