"""Attempts that ended without a word: what they had found is in their journals."""

import logging
import os
import socket
from collections.abc import Iterable, Mapping
from datetime import datetime

from scaling.errors import StoreError
from scaling.orchestrator import processes
from scaling.orchestrator.files import Files
from scaling.store import (
    Ending,
    Failure,
    FailureKind,
    OpenAttempt,
    Recorded,
    RefusedError,
    Store,
    TrialState,
)
from scaling.trial import Event

logger = logging.getLogger(__name__)

_SECONDS_TO_DIE = 30.0
"""For workers of a killed driver; on a cluster that stands they outlive it by a moment."""


def left_behind(files: Files, trial_id: str, attempt: int) -> tuple[Event, ...]:
    """What the journal of an attempt holds that ended without a word."""
    try:
        return files.journal(trial_id, attempt)
    except StoreError as error:
        # What it says is lost, not wrong: it will be found again.
        logger.warning("journal ignored: %s", error)
        return ()


def settle(
    store: Store, trial_id: str, attempt: int, ending: Ending, events: Iterable[Event] = ()
) -> tuple[Ending, int]:
    """Close an attempt with the last of its `events`: how it ended, and the new measurements.

    Events that contradict the store make it a failure, whatever `ending` says.
    """
    try:
        return ending, store.finish(trial_id, attempt, ending, events)
    except RefusedError as error:
        failure = Failure(FailureKind.REFUSED, str(error))
        failed = Ending("failed", TrialState.FAILED, failure)
        return failed, store.finish(trial_id, attempt, failed)


def settle_lost(
    store: Store, files: Files, recorded: Mapping[str, Recorded]
) -> tuple[list[str], int]:
    """Close attempts whose driver died: their trials, and how many measurements that brought.

    Raises `StoreError` if a worker of such an attempt does not die.
    """
    lost, measurements = [], 0
    for trial_id, there in recorded.items():
        if there.open_attempt is not None:
            _await_worker(there.open_attempt)
            number = there.open_attempt.number
            events = left_behind(files, trial_id, number)
            files.end_log(trial_id, number)
            files.leave(trial_id, number)
            # Only training changes a trial's state while it goes on.
            was_trained = there.state is TrialState.RUNNING
            ending = (
                Ending("lost", TrialState.PENDING)
                if was_trained
                else Ending("lost", there.state, there.failure)
            )
            measurements += settle(store, trial_id, number, ending, events)[1]
            lost.append(trial_id)
    return lost, measurements


def _await_worker(attempt: OpenAttempt) -> None:
    """Wait until nobody writes the attempt's journal any more, as far as this machine can tell."""
    # An earlier run in this very process, in a notebook say, has ended, or this one would not be.
    if attempt.pid is None or attempt.pid == os.getpid() or attempt.host != socket.gethostname():
        return
    worker = processes.started_before(
        attempt.pid, datetime.fromisoformat(attempt.started).timestamp()
    )
    if worker and not processes.await_end(worker, _SECONDS_TO_DIE):
        raise StoreError(
            f"process {attempt.pid} still works for a run that has died; end it with "
            f"`kill {attempt.pid}`, then run this again"
        )
