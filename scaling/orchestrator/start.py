"""Where an attempt begins: at a checkpoint of its own, or at the one that its trial branched off.

A cooldown that has found something never goes on from another checkpoint of its trunk than the
one it branched off. A trunk that was trained again, with other rows at once or on another device,
differs in its last digits, and what a cooldown finds would be of two networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scaling.orchestrator.files import Files
from scaling.orchestrator.remaining import Remaining, needs_trunk
from scaling.plan import PlannedTrial
from scaling.store import Failure, FailureKind, Store
from scaling.trial import Checkpoint


@dataclass(frozen=True)
class Start:
    """What an attempt is given to begin from."""

    left: Remaining
    checkpoints: tuple[Checkpoint, ...]
    """Those of the trial, and that of its trunk at the branch point."""
    other_parent: Failure | None = None
    """Why the trial may not go on from there."""

    @property
    def began(self) -> Checkpoint | None:
        """The checkpoint that the attempt goes on from; None at a beginning from nothing."""
        first = self.left.stops[0].samples_seen if self.left.stops else 0
        usable = [each for each in self.checkpoints if each.samples_seen <= first]
        return max(usable, key=lambda each: each.samples_seen, default=None)


def start_of(
    planned: PlannedTrial,
    own: Sequence[Checkpoint],
    left: Remaining,
    *,
    store: Store,
    files: Files,
) -> Start:
    """Where a trial with these checkpoints of its `own` and this `left` begins now."""
    if planned.branch is None:
        return Start(left, tuple(own))
    trunk_id, branch_point = planned.branch
    of_trunk = files.present(store.checkpoints(trunk_id))
    inherited = [each for each in of_trunk if each.samples_seen == branch_point]
    other = None
    if inherited and left.stops and needs_trunk(left, own):
        other = _other_parent(planned.trial.id, inherited[0], own, store)
    return Start(left, (*inherited, *own), other)


def _other_parent(
    trial_id: str, parent: Checkpoint, own: Sequence[Checkpoint], store: Store
) -> Failure | None:
    """Why a cooldown cannot branch off `parent`; None if it can."""
    before = store.origin(trial_id, parent.trial_id)
    if before is None or before.sha256 == parent.sha256:
        return None
    if not own and not store.measured(trial_id):
        return None  # Nothing is left of what it found, so it begins anew.
    text = (
        f"its results are of a branch off {parent.trial_id} at {parent.samples_seen:,} samples "
        f"seen (attempt {before.attempt}, sha256 {before.sha256[:12]}); the checkpoint that is "
        f"there now is another one (sha256 {parent.sha256[:12]}): bring the former back, or train "
        "this grid into another store"
    )
    return Failure(FailureKind.BLOCKED, text)
