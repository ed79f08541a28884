"""How far a plan is, by the store and the checkpoints that are there."""

from pathlib import Path

from scaling.orchestrator.files import Files
from scaling.orchestrator.remaining import Remaining
from scaling.orchestrator.survey import Survey, survey
from scaling.plan import Plan
from scaling.store import Reader, Recorded, TrialState


def progress(plan: Plan, store: Reader, checkpoints: str | Path) -> Survey:
    """What `store` has of `plan`, whose checkpoints are in `checkpoints`."""
    trial_ids = [planned.trial.id for planned in plan.trials]
    recorded = dict.fromkeys(trial_ids, _NOTHING) | store.recorded(trial_ids)
    return survey(plan, recorded, Files(checkpoints))


def nothing_done(plan: Plan) -> Survey:
    """The whole of `plan` is left: what `survey` finds where nothing is recorded, but quicker."""
    found = Survey()
    for planned in plan.trials:
        trial_id, branch = planned.trial.id, planned.branch
        start = branch[1] if branch else 0
        found.left[trial_id] = Remaining(planned.stops, start, (start,))
        if branch:
            found.waiting[trial_id] = branch
            found.branch_points[branch[0]].append(branch[1])
    return found


_NOTHING = Recorded(TrialState.PENDING)
