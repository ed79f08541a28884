"""Which checkpoints are kept: every stop and branch point, and what a trial may go on from.

An attempt that has to leave saves between two stops (`Checkpoint.forced`). Once its trial has got
further nobody needs that file, and long trunks that are stopped every few hours would fill a disk
with them.
"""

import logging
from collections.abc import Collection, Iterable, Sequence

from scaling.orchestrator.files import Files
from scaling.plan import Plan, PlannedTrial
from scaling.store import Store
from scaling.trial import Checkpoint, Event

logger = logging.getLogger(__name__)


def superseded(
    saved: Sequence[Checkpoint], present: Sequence[Checkpoint], stops: Collection[int]
) -> tuple[Checkpoint, ...]:
    """The forced ones of a trial's `saved` checkpoints that nobody needs any more.

    For each of `stops`, the samples seen at which anybody asks for the trial, there has to be a
    better place to go on from among those whose files are `present`.
    """
    later = {checkpoint.samples_seen for checkpoint in present}

    def is_passed(samples_seen: int) -> bool:
        return any(seen > samples_seen for seen in later) and all(
            any(samples_seen < seen <= stop for seen in later)
            for stop in stops
            if stop >= samples_seen
        )

    return tuple(each for each in saved if each.forced and is_passed(each.samples_seen))


class Retention:
    """Deletes what is superseded as soon as what supersedes it is recorded."""

    def __init__(self, store: Store, files: Files) -> None:
        """Nothing is deleted yet."""
        self._store = store
        self._files = files
        self._with_forced = store.with_forced()

    def sweep(self, plan: Plan) -> None:
        """Delete what is superseded of any trial of `plan`, if an earlier run could not."""
        for planned in plan.trials if self._with_forced else ():
            if planned.trial.id in self._with_forced:
                self.discard(planned)

    def saw(self, planned: PlannedTrial, events: Iterable[Event]) -> None:
        """Look at a trial's checkpoints after `events` of it were recorded."""
        trial_id = planned.trial.id
        new = [event for event in events if isinstance(event, Checkpoint)]
        if any(checkpoint.forced for checkpoint in new):
            self._with_forced.add(trial_id)
        if new and trial_id in self._with_forced:
            self.discard(planned)

    def discard(self, planned: PlannedTrial) -> tuple[Checkpoint, ...]:
        """Delete what is superseded of a trial; what that was.

        The files go first: a row without its file is like a checkpoint that is lost, and is
        found here again if this process dies between the two.
        """
        trial_id = planned.trial.id
        saved = self._store.checkpoints(trial_id)
        stops = {stop.samples_seen for stop in (*planned.stops, *planned.rungs)}
        stops |= self._store.asked_at(trial_id)
        gone = superseded(saved, self._files.present(saved), stops)
        try:
            for checkpoint in gone:
                self._files.delete(checkpoint)
        except OSError as error:
            logger.warning("a checkpoint that nobody needs was not deleted: %s", error)
            return ()
        if gone:
            self._store.forget(gone)
        if not any(each.forced for each in saved if each not in gone):
            self._with_forced.discard(trial_id)
        return gone
