"""`run_plan`: from what a plan asks for to what the store has."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scaling.database import run_files
from scaling.orchestrator.allowance import Allowance
from scaling.orchestrator.display import Display, Several, lines_in
from scaling.orchestrator.executor import Executor
from scaling.orchestrator.files import Files
from scaling.orchestrator.halving import Halving
from scaling.orchestrator.loop import Loop
from scaling.orchestrator.outcome import Outcome
from scaling.orchestrator.pace import Pace
from scaling.orchestrator.phases import occupying
from scaling.orchestrator.policy import Policy
from scaling.orchestrator.queue import Queue
from scaling.orchestrator.retention import Retention
from scaling.orchestrator.settling import settle_lost
from scaling.orchestrator.status_file import beside
from scaling.orchestrator.stopping import StopRequest
from scaling.orchestrator.survey import Survey, survey
from scaling.orchestrator.tally import Task
from scaling.orchestrator.waiting import Waiting
from scaling.plan import Plan, PlannedTrial
from scaling.storage import Storage
from scaling.store import Failure, Recorded, Store, TrialState

DEFAULT = Policy()


@dataclass(frozen=True, kw_only=True)
class Means:
    """With what a plan is carried out."""

    store: Store
    files: Files
    executor: Executor
    show: Display
    policy: Policy = DEFAULT  # frozen


def run_plan(
    plan: Plan,
    store: Store,
    *,
    checkpoints: str | Path | Storage,
    executor: Executor,
    show: Display,
    policy: Policy = DEFAULT,
) -> Outcome:
    """Train and measure what `plan` asks for and `store` does not have.

    Checkpoints, journals and logs go to `TRIAL/` in `checkpoints`, a folder, an address that
    fsspec reaches, or either as `scaling.storage` has it; one line a trial event goes to a log
    beside the store (`results.log` for `results.db`; see `scaling.database.run_files`). The first
    Ctrl-C or SIGTERM stops cleanly. Trials then save where they are.

    Raises `ResourceError` before anything starts if a trial could never run. A trial that fails
    takes no other down.
    """
    began = time.monotonic()
    files = Files(checkpoints)
    files.storage.check()
    store.record_plan(plan)
    trial_ids = [planned.trial.id for planned in plan.trials]
    recorded = store.recorded(trial_ids)
    lost, measurements = settle_lost(store, files, recorded)
    Retention(store, files).sweep(plan)
    recorded |= store.recorded(lost)
    found = survey(plan, recorded, files, retry=policy.retry)
    halving = _halving(plan, store, found)
    _write_states(store, recorded, found)
    means = Means(store=store, files=files, executor=executor, show=show, policy=policy)
    outcome = carry_out(plan, found, means, halving)
    return replace(
        outcome,
        measurements=measurements + outcome.measurements,
        seconds=time.monotonic() - began,
    )


def carry_out(plan: Plan, found: Survey, means: Means, halving: Halving | None = None) -> Outcome:
    """Do what `found` has left of `plan`, which the store knows."""
    began = time.monotonic()
    store, policy = means.store, means.policy
    named = run_files(store.db, str(means.files.storage))
    named.parent.mkdir(parents=True, exist_ok=True)
    with lines_in(named.with_suffix(".log")) as lines:
        show = Several(means.show, lines, *beside(named, plan.study, means.files.storage))
        show.begin(_tasks(plan, found), len(found.done), {**found.failed, **found.blocked})
        pace = Pace(plan.trials, store.throughputs())
        allowance = Allowance(policy.budget, found.left, pace, halving)
        queue = Queue(plan, found, policy.order, allowance)
        loop = Loop(
            found, queue, store=store, files=means.files, executor=means.executor, show=show
        )
        try:
            left = [planned for planned in plan.trials if planned.trial.id in found.left]
            unfinished, stopped = 0, False
            behind: list[str] = []
            if left:
                attempts = [
                    its for each in left for its in occupying(each, found.left[each.trial.id])
                ]
                unfinished, stopped = _execute(loop, attempts, replace(means, show=show))
            if halving:
                behind = halving.stopped(queue.trial_ids)
                unfinished -= len(behind)
                store.set_states(behind, TrialState.STOPPED)
                for trial_id in behind:
                    show.state(trial_id, TrialState.STOPPED, "others of its sweep are better")
        finally:
            show.close()
    return Outcome(
        done=loop.done,
        already_done=len(found.done),
        failed=len(loop.failed),
        blocked=len(loop.blocked),
        interrupted=unfinished if stopped else 0,
        beyond_budget=0 if stopped or loop.lack_of_room else unfinished,
        without_room=unfinished if loop.lack_of_room else 0,
        lack_of_room=loop.lack_of_room,
        stopped_early=len(found.stopped) + len(behind),
        budget=str(allowance),
        measurements=loop.measurements,
        seconds=time.monotonic() - began,
    )


def _execute(loop: Loop, attempts: Sequence[PlannedTrial], means: Means) -> tuple[int, bool]:
    """Run `loop`; how many trials are not finished, and whether on request."""
    with StopRequest() as stop:
        try:
            means.show.ready(means.executor.prepare(attempts))
            means.store.when_unavailable = Waiting(stop)
            loop.run(stop, means.policy)
        finally:
            means.executor.stop()
        return len(loop.interrupt(preempted=stop.is_preemption)), stop.is_made


def _halving(plan: Plan, store: Store, found: Survey) -> Halving | None:
    """How far sweeps are that are stopped early; who was stopped is no longer left."""
    if not plan.sweeps:
        return None
    members = [trial_id for sweep in plan.sweeps for trial_id in sweep.rungs]
    # Who is complete without having stood at a rung will not stand there any more.
    out = {*found.failed, *found.blocked, *found.done}
    halving = Halving(plan, store.values(members), out)
    found.stopped = halving.stopped(found.left)
    for trial_id in found.stopped:
        del found.left[trial_id]
    return halving


def _tasks(plan: Plan, found: Survey) -> list[Task]:
    tasks = []
    for planned in plan.trials:
        left = found.left.get(planned.trial.id)
        if left is not None:
            end = left.start + left.samples
            tasks.append(Task(planned=planned, start=left.start, end=end))
    return tasks


def _write_states(store: Store, recorded: Mapping[str, Recorded], found: Survey) -> None:
    """Make the states in the store those that the survey found, where they differ."""
    wanted: defaultdict[tuple[TrialState, Failure | None], list[str]] = defaultdict(list)
    for trial_id in found.done:
        wanted[TrialState.COMPLETE, None].append(trial_id)
    for trial_id in found.left:
        wanted[TrialState.PENDING, None].append(trial_id)
    for trial_id in found.stopped:
        wanted[TrialState.STOPPED, None].append(trial_id)
    for trial_id, reason in found.blocked.items():
        wanted[TrialState.BLOCKED, reason].append(trial_id)
    for (state, failure), trial_ids in wanted.items():
        changed = [
            i for i in trial_ids if (recorded[i].state, recorded[i].failure) != (state, failure)
        ]
        if changed:
            store.set_states(changed, state, failure)
