"""`run_evaluation`: measures checkpoints that are there; nothing is trained."""

from collections.abc import Mapping
from dataclasses import replace

from scaling.orchestrator.outcome import Outcome
from scaling.orchestrator.remaining import Remaining, unmeasured
from scaling.orchestrator.run import Means, carry_out
from scaling.orchestrator.settling import settle_lost
from scaling.orchestrator.survey import Survey
from scaling.plan import Plan
from scaling.store import Recorded

MEASURER = "scaling.train.measuring:measure"
"""Where the generator stands that measures, for executors, as 'module:function'."""


def run_evaluation(plan: Plan, means: Means) -> Outcome:
    """Measure the tasks at the stops of `plan` that the store does not have.

    All trials of `plan` are recorded; each has its checkpoint at each of its stops. `means` has a
    `MeasuringStore`, and an executor of the `MEASURER`. Attempts, journals, logs and
    the end on Ctrl-C are those of `run_plan`; states of trials, cells and checkpoints stay as
    they are, and no measurement is ever replaced.
    """
    means.files.storage.check()
    trial_ids = [planned.trial.id for planned in plan.trials]
    recorded = means.store.recorded(trial_ids)
    lost, measurements = settle_lost(means.store, means.files, recorded)
    recorded |= means.store.recorded(lost)
    outcome = carry_out(plan, _survey(plan, recorded), means)
    return replace(outcome, measurements=measurements + outcome.measurements)


def _survey(plan: Plan, recorded: Mapping[str, Recorded]) -> Survey:
    found = Survey()
    for planned in plan.trials:
        trial_id = planned.trial.id
        if left := unmeasured(planned, recorded[trial_id].measured):
            # Nothing is to be trained: the beginning is the end.
            found.left[trial_id] = Remaining(left, left[-1].samples_seen)
        else:
            found.done.append(trial_id)
    return found
