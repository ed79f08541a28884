"""A plan against what is recorded: which trials are done, which are left, which cannot be."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from scaling.orchestrator.files import Files
from scaling.orchestrator.remaining import Remaining, needs_trunk, remaining, unmeasured
from scaling.plan import Plan
from scaling.store import Failure, FailureKind, Recorded
from scaling.trial import Cooldown

_TRIED_AGAIN = {
    FailureKind.INFRA,
    FailureKind.SETUP,
    FailureKind.NO_ROOM,
    FailureKind.BLOCKED,
}
"""Failures that each run tries again: the machine, the data or the disk may have been mended."""


@dataclass
class Survey:
    """The trials of a plan by what is to be done about them."""

    done: list[str] = field(default_factory=list)
    left: dict[str, Remaining] = field(default_factory=dict)
    """What is left of each trial that can go on, or could if its trunk were there."""
    waiting: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Of those in `left`: the trunk and branch point that a cooldown waits for."""
    branch_points: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Where those cooldowns branch off, by trunk."""
    failed: dict[str, Failure] = field(default_factory=dict)
    """Failed in an earlier run, and not tried again."""
    blocked: dict[str, Failure] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    """Members of sweeps that others have left behind."""


def survey(
    plan: Plan, recorded: Mapping[str, Recorded], files: Files, *, retry: bool = False
) -> Survey:
    """Sort the trials of `plan`; with `retry`, failed ones get another chance."""
    found = Survey()
    # Cooldowns first: what is left of a trunk depends on what they still need of it.
    for planned in sorted(plan.trials, key=lambda planned: planned.trial.kind != Cooldown.kind):
        trial_id = planned.trial.id
        there = recorded[trial_id]
        branch_points = found.branch_points[trial_id]
        if not branch_points and not unmeasured(planned, there.measured):
            found.done.append(trial_id)
            continue
        present = files.present(there.checkpoints)
        left = remaining(planned, there.measured, present, branch_points)
        if not left.stops:
            found.done.append(trial_id)
        elif there.failure and _is_final(there.failure) and not retry:
            found.failed[trial_id] = there.failure
        else:
            found.left[trial_id] = left
            branch = planned.branch
            if branch and needs_trunk(left, present):
                found.waiting[trial_id] = branch
                found.branch_points[branch[0]].append(branch[1])
    _let_go(found, recorded, files)
    return found


def _is_final(failure: Failure) -> bool:
    return failure.kind not in _TRIED_AGAIN


def blocked_by(trunk_id: str, failure: Failure) -> Failure:
    """Why the cooldowns of a failed trunk are blocked."""
    return Failure(FailureKind.BLOCKED, f"its trunk {trunk_id} failed: {failure.text}")


def _let_go(found: Survey, recorded: Mapping[str, Recorded], files: Files) -> None:
    """Let no cooldown wait for a checkpoint that is there, nor for one that never comes."""
    for trial_id, (trunk_id, branch_point) in list(found.waiting.items()):
        present = files.present(recorded[trunk_id].checkpoints)
        if any(checkpoint.samples_seen == branch_point for checkpoint in present):
            del found.waiting[trial_id]
        elif trunk_id in found.failed:
            del found.waiting[trial_id], found.left[trial_id]
            found.blocked[trial_id] = blocked_by(trunk_id, found.failed[trunk_id])
