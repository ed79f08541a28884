"""A store to which checkpoints are measured that are there, whatever became of their trials."""

from collections.abc import Iterable, Sequence

from scaling.plan import Plan
from scaling.store import evaluated, memory, recording
from scaling.store.states import Ending, Failure, TrialState
from scaling.store.store import Store
from scaling.trial import Checkpoint, Event, Execution, Trial

_LOST = "lost"
"""The outcome of an attempt whose driver died, in whose place its successor speaks."""


class MeasuringStore(Store):
    """A `Store` in which attempts leave the states of trials as they are.

    What is measured later says nothing about training: a complete trial stays complete if a task
    fails on it, one that diverged stays so if a task succeeds. Attempts are fenced as all are.
    """

    def start_attempt(self, trial_id: str, began: Checkpoint | None = None) -> int:
        """See `Store.start_attempt`."""
        return self._write(lambda c: recording.start_attempt(c, trial_id, began, state=None))

    def finish(
        self, trial_id: str, attempt: int, ending: Ending, events: Iterable[Event] = ()
    ) -> int:
        """See `Store.finish`."""
        if ending.outcome == _LOST:
            return super().finish(trial_id, attempt, ending, events)
        kept = tuple(events)
        # What did not fit when it was measured says nothing about how many rows can be trained.
        outcome = "failed" if ending.outcome == memory.OUTCOME else ending.outcome
        return self._write(lambda c: recording.close(c, trial_id, attempt, outcome, kept))

    def set_states(
        self, trial_ids: Sequence[str], state: TrialState, failure: Failure | None = None
    ) -> None:
        """Nothing: states are those of training."""

    def rows_that_fit(self, trial: Trial, execution: Execution) -> dict[str, int]:
        """Nothing: networks are measured in batches of their own."""
        return {}

    def record_foreign(self, plan: Plan) -> None:
        """See `scaling.store.evaluated.record_foreign`."""
        self._write(lambda connection: evaluated.record_foreign(connection, plan))
