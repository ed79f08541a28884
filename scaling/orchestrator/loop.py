"""The run loop: one process decides, records and shows; slots only make attempts."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

from scaling.full_disk import doing_without
from scaling.orchestrator.allowance import SECONDS_TO_SAVE
from scaling.orchestrator.beside import Beside
from scaling.orchestrator.display import Display
from scaling.orchestrator.executor import Died, Done, Executor, Slot
from scaling.orchestrator.files import Files
from scaling.orchestrator.health import Health, left_out
from scaling.orchestrator.phases import Phase, phases
from scaling.orchestrator.policy import Policy
from scaling.orchestrator.queue import Queue
from scaling.orchestrator.remaining import Remaining, remaining
from scaling.orchestrator.retention import Retention
from scaling.orchestrator.room import Room
from scaling.orchestrator.settling import left_behind, settle
from scaling.orchestrator.stalls import Watch
from scaling.orchestrator.start import Start, start_of
from scaling.orchestrator.stopping import StopRequest
from scaling.orchestrator.survey import Survey, blocked_by
from scaling.orchestrator.verdicts import Judge, Verdict, failed
from scaling.orchestrator.worker import Batch, Crash, Hello, Message
from scaling.plan import PlannedTrial, Resources
from scaling.store import (
    Ending,
    Failure,
    FailureKind,
    RefusedError,
    Store,
    TrialState,
    Worker,
)
from scaling.trial import Checkpoint, Event, Measurement, Progress, Work

logger = logging.getLogger(__name__)

_SECONDS_PER_ROUND = 0.5
"""How long a request to stop may go unnoticed."""


@dataclass(frozen=True)
class _Attempt:
    """What a busy slot does."""

    phase: Phase
    number: int

    @property
    def planned(self) -> PlannedTrial:
        return self.phase.planned

    @property
    def trial_id(self) -> str:
        return self.planned.trial.id


class Loop:
    """Starts what is ready, records what comes, until nothing is left or somebody says stop."""

    def __init__(
        self,
        found: Survey,
        queue: Queue,
        *,
        store: Store,
        files: Files,
        executor: Executor,
        show: Display,
    ) -> None:
        """Nothing starts yet; `executor` is prepared, `queue` holds what `found` has left."""
        self._policy = Policy()
        self._queue = queue
        self._allowance = queue.allowance
        self._branch_points = found.branch_points
        self._store = store
        self._files = files
        self._retention = Retention(store, files)
        self._executor = executor
        self._show = show
        self._running: dict[Slot, _Attempt] = {}
        self._watches: dict[Slot, Watch] = {}
        self._beside = Beside(executor, files, store)
        self._judge = Judge()
        self._health = Health()
        self._room = Room(files)
        self.done = 0
        self.failed = dict(found.failed)
        """In this run or in an earlier one."""
        self.blocked = dict(found.blocked)
        self.measurements = 0
        self.lack_of_room = ""
        """Why the run ended although nobody stopped it, if that is why."""

    def run(self, stop: StopRequest, policy: Policy) -> None:
        """Go on until all that can be done is done, `stop` is made, or the allowance ends."""
        self._policy = policy
        self._queue.order_for(self._executor.share)
        while not (stop.is_made or self._allowance.is_over) and (self._running or self._queue):
            self._start_what_fits()
            self._beside.start_what_fits(
                self._queue.evaluation, policy.stall_seconds, self._deadline
            )
            self._room.tell(self._show)
            if self._room.is_hopeless:
                self.lack_of_room = self._room.lack
                return
            if not self._running and self._queue.is_over_budget:
                assert self._queue.may_go_on or not self._queue, "trials wait for a lost trunk"
                return
            self._listen()
        if stop.is_made:
            self._let_save(self._policy.grace_seconds)
        elif self._allowance.must_save:
            self._let_save(min(self._policy.grace_seconds, SECONDS_TO_SAVE))

    def _listen(self) -> None:
        for slot, message in self._executor.wait(_SECONDS_PER_ROUND):
            if slot in self._beside:
                self._hear_beside(slot, message)
            elif slot in self._running:
                self._watches[slot].heard(message.events if isinstance(message, Batch) else ())
                self._handle(slot, message)
        for slot in [slot for slot in self._running if self._watches[slot].is_over]:
            self._end_hung(slot)
        self._beside.end_hung()
        self._show.tick()

    def _let_save(self, seconds: float) -> None:
        """Ask attempts to save where they are and stop, and give them time for it."""
        if self._running:
            logger.warning(
                "stopping: %d running may take %g s to save where they are; Ctrl-C again does not "
                "wait",
                len(self._running),
                self._policy.grace_seconds,
            )
        for attempt in self._running.values():
            # Where there is no room for the request there is none for a checkpoint either.
            with doing_without():
                self._files.ask_to_stop(attempt.trial_id, attempt.number)
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            self._listen()

    @property
    def _deadline(self) -> float | None:
        """In seconds since the epoch."""
        deadline = self._policy.budget.deadline
        return None if deadline is None else deadline.timestamp()

    def interrupt(self, *, preempted: bool) -> list[str]:
        """After the executor stopped: close what went on; the trials that are not finished.

        Whoever was `preempted` has to show progress some time, which nobody asks of people.
        """
        attempts = list(self._running.values())
        self._running.clear()
        for attempt in attempts:
            events = left_behind(self._files, attempt.trial_id, attempt.number)
            verdict = Verdict(Ending("interrupted", TrialState.PENDING), 0.0, "stopped")
            if preempted:
                slices = self._store.slices_without_progress(attempt.trial_id)
                verdict = self._judge.preempted("stopped", 0 if events else slices)
            self._conclude(attempt, verdict, events)
        return self._queue.trial_ids

    def _start_what_fits(self) -> None:
        # How long a trial may take that still finds a place, by what it occupies.
        longest: dict[Resources, float] = {}
        self._room.look(attempt.phase for attempt in self._running.values())
        for phase in self._queue:
            resources = phase.planned.resources
            limit = longest.get(resources, inf)
            if not limit or (seconds := self._allowance.seconds(phase)) > limit:
                continue
            if not self._room.has_place_for(phase):
                continue
            slot = self._executor.free(resources, seconds)
            if slot is None:
                is_first = resources not in longest
                longest[resources] = self._executor.longest(resources) if is_first else 0.0
                if longest.keys() == self._queue.shapes and not any(longest.values()):
                    return
            else:
                self._start(phase, slot)

    def _start(self, phase: Phase, slot: Slot) -> None:
        planned, trial_id = phase.planned, phase.planned.trial.id
        self._queue.remove(trial_id)
        start = self._start_of(phase)
        if start.other_parent is not None:
            self._executor.drop(slot)
            self._block([trial_id], start.other_parent)
            return
        if phase.left.stops and not start.left.stops:
            # Checkpoints have gone since, or come back: it is another phase's turn.
            self._executor.drop(slot)
            self._allowance.heard(trial_id, self._left(planned)[1])
            self._queue.add(trial_id)
            return
        attempt = _Attempt(phase, self._store.start_attempt(trial_id, start.began))
        self._running[slot] = attempt
        self._room.promise(phase)
        self._watches[slot] = Watch(self._policy.stall_seconds)
        self._files.clear(trial_id, attempt.number)
        words = f"attempt {attempt.number}"
        self._show.state(trial_id, TrialState.RUNNING, words, attempt=attempt.number)
        slot.start(self._work(attempt, start), self._files.log(trial_id, attempt.number))

    def _start_of(self, phase: Phase) -> Start:
        """Where an attempt begins now: earlier ones and the trunk have added to the store."""
        own, left = self._left(phase.planned)
        found = start_of(phase.planned, own, left, store=self._store, files=self._files)
        return replace(found, left=phase.share(left))

    def _hear_beside(self, slot: Slot, message: Message | Died | Done) -> None:
        found = self._beside.hear(slot, message)
        if found is not None:
            self.measurements += found.measurements
            self._tell(found.planned, found.events)

    def _measure_beside(self, attempt: _Attempt) -> None:
        """Ask for what can be measured now of a trial that trains on."""
        if self._files.remote or self._policy.budget.is_limited:
            return  # Their journals are the attempt's; what this occupies is not accounted for.
        planned = attempt.planned
        own, left = self._left(planned)
        waiting = {phase.does: phase for phase in phases(planned, left)}
        if "training" in waiting and "measuring" in waiting:
            self._beside.ask(waiting["measuring"], attempt.number, own)

    def _work(self, attempt: _Attempt, start: Start) -> Work:
        planned, trial_id = attempt.planned, attempt.trial_id
        return Work(
            trial=planned.trial,
            stops=self._allowance.begin(planned, start.left),
            checkpoints=start.checkpoints,
            directory=self._files.directory(trial_id, attempt.number),
            storage=self._files.remote,
            attempt=attempt.number,
            execution=planned.execution,
            fits=self._store.rows_that_fit(planned.trial, planned.execution),
            stall_seconds=self._policy.stall_seconds,
            deadline=self._deadline,
            evaluation=self._queue.evaluation,
        )

    def _left(self, planned: PlannedTrial) -> tuple[tuple[Checkpoint, ...], Remaining]:
        """A trial's own checkpoints, and what is left of it, by the store as it is now."""
        trial_id = planned.trial.id
        there = self._store.recorded([trial_id])[trial_id]
        own = self._files.present(there.checkpoints)
        branch_points = self._branch_points.get(trial_id, ())
        return own, remaining(planned, there.measured, own, branch_points)

    def _handle(self, slot: Slot, message: Message | Died | Done) -> None:
        attempt = self._running[slot]
        match message:
            case Hello():
                worker = Worker(host=message.host, pid=message.pid, versions=message.versions)
                self._store.set_worker(attempt.trial_id, attempt.number, worker)
            case Batch():
                self._record(slot, attempt, message.events)
            case Done():
                del self._running[slot]
                self._health.went_well(self._executor.node(slot))
                self._complete(attempt)
            case Crash():
                del self._running[slot]
                self._suspect(slot, attempt, message.kind)
                slices = self._store.slices_without_progress(attempt.trial_id)
                verdict = self._judge.crash(attempt.trial_id, message, slices)
                if message.kind == "no-room" and verdict.delay:
                    self._room.was_missing(message.text, verdict.delay)
                self._conclude(attempt, verdict)
            case Died():
                del self._running[slot]
                self._suspect(slot, attempt, "died")
                self._try_again(attempt, message)

    def _record(self, slot: Slot, attempt: _Attempt, events: tuple[Event, ...]) -> None:
        try:
            if any(not isinstance(event, Progress) for event in events):
                self.measurements += self._store.record(
                    attempt.trial_id, attempt.number, self._files.relative(events)
                )
        except RefusedError as error:
            del self._running[slot]
            self._executor.drop(slot)
            self._conclude(attempt, failed(FailureKind.REFUSED, str(error)))
        else:
            if any(isinstance(event, Checkpoint) for event in events):
                self._health.went_well(self._executor.node(slot))
                if attempt.phase.does == "training":
                    self._measure_beside(attempt)
                self._judge.saved(attempt.trial_id)
            self._tell(attempt.planned, events)
            for event in events:
                if isinstance(event, Progress):
                    left = self._allowance.seconds_left(event.trial_id, event.samples_seen)
                    self._executor.expect(slot, left)

    def _complete(self, attempt: _Attempt) -> None:
        _, left = self._left(attempt.planned)
        due = attempt.phase.share(left)
        if left.stops and self._allowance.reached(attempt.trial_id, due):
            ending = Ending("paused", TrialState.PENDING)
            self._close(attempt, ending, note=attempt.phase.what_is_next)
            self._queue.add(attempt.trial_id)
        elif left.stops:
            missing = ", ".join(f"{stop.samples_seen:,}" for stop in due.stops)
            text = f"the trainer ended without error, but not everything is there at {missing}"
            self._conclude(attempt, failed(FailureKind.BUG, text))
        else:
            self.done += 1
            self._close(attempt, Ending("done", TrialState.COMPLETE))

    def _end_hung(self, slot: Slot) -> None:
        attempt = self._running.pop(slot)
        self._executor.drop(slot)
        self._suspect(slot, attempt, "hung")
        with doing_without():
            self._files.end_log(attempt.trial_id, attempt.number)
        log = self._files.place_of_log(attempt.trial_id, attempt.number)
        verdict = self._judge.hang(attempt.trial_id, log, str(self._watches[slot]))
        events = left_behind(self._files, attempt.trial_id, attempt.number)
        self._conclude(attempt, verdict, events)

    def _suspect(self, slot: Slot, attempt: _Attempt, kind: str) -> None:
        """Leave the node out on which this failed, if trial after trial does so there."""
        node, seconds = self._executor.node(slot), self._watches[slot].seconds
        if self._health.failed(node, attempt.trial_id, kind, seconds):
            if self._executor.leave_out(node):
                logger.error("%s", left_out(node))
            self._health.went_well(node)

    def _try_again(self, attempt: _Attempt, death: Died) -> None:
        """Go on from the last checkpoint, unless worker after worker dies without progress."""
        trial_id = attempt.trial_id
        log = self._files.place_of_log(trial_id, attempt.number)
        with doing_without():
            self._files.end_log(trial_id, attempt.number, death.text + "\n")
        events = left_behind(self._files, trial_id, attempt.number)
        progress = any(isinstance(event, Checkpoint | Measurement) for event in events)
        self._conclude(attempt, self._judge.death(trial_id, log, progress=progress), events)

    def _conclude(self, attempt: _Attempt, verdict: Verdict, events: Iterable[Event] = ()) -> None:
        """Close an attempt as judged; its trial waits for another one, if it may have one."""
        lives = self._close(attempt, verdict.ending, events, verdict.note)
        if lives and verdict.delay is not None:
            delay = verdict.delay
            if verdict.ending.outcome == "preempted" and self._deadline is not None:
                # It left because time is nearly up, and would leave again at once.
                delay = max(delay, self._deadline - time.time())
            self._queue.add(attempt.trial_id, delay=delay)

    def _close(
        self, attempt: _Attempt, ending: Ending, events: Iterable[Event] = (), note: str = ""
    ) -> bool:
        """Close an attempt with what it left behind; whether its trial did not fail."""
        trial_id, events = attempt.trial_id, tuple(events)
        self._beside.end(trial_id, attempt.number)
        self._files.leave(trial_id, attempt.number)
        ending, new = settle(self._store, trial_id, attempt.number, ending, events)
        self.measurements += new
        self._tell(attempt.planned, events)
        is_left = ending.state is TrialState.PENDING
        self._allowance.end(trial_id, self._left(attempt.planned)[1] if is_left else None)
        failure = ending.failure
        self._show.state(trial_id, ending.state, failure.text if failure else note)
        if failure:
            self._give_up(trial_id, failure)
        return failure is None

    def _tell(self, planned: PlannedTrial, events: Sequence[Event]) -> None:
        """Show what is recorded, let start what waited for it, delete what it supersedes."""
        self._show.events(events)
        self._allowance.saw(events)
        self._room.saw(planned, events)
        for event in events:
            if isinstance(event, Checkpoint):
                self._queue.release(event.trial_id, event.samples_seen)
        self._retention.saw(planned, events)

    def _give_up(self, trial_id: str, failure: Failure) -> None:
        """Block what waits for a trial that failed."""
        self.failed[trial_id] = failure
        self._block(self._queue.give_up(trial_id), blocked_by(trial_id, failure))

    def _block(self, trial_ids: Sequence[str], reason: Failure) -> None:
        self._store.set_states(trial_ids, TrialState.BLOCKED, reason)
        for trial_id in trial_ids:
            self.blocked[trial_id] = reason
            self._show.state(trial_id, TrialState.BLOCKED, reason.text)
