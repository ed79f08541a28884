"""A plan and what it takes as plain data, for other programs."""

import dataclasses
from typing import Any

from scaling.cost import cost, shared
from scaling.orchestrator.survey import Survey
from scaling.plan import Plan, PlannedTrial
from scaling.planning.estimate import Estimate, ModelEstimate
from scaling.planning.sharing import rows


def report(plan: Plan, found: Survey, estimate: Estimate) -> dict[str, Any]:
    """Everything about `plan`; compute in forward GFLOPs as the reference study counts them."""
    whole, sharing = cost(plan.trials), shared(plan)
    models = estimate.models
    machine, paces, takes = estimate.machine, estimate.paces, estimate.makespan
    return {
        "study": plan.study,
        "cells": len(plan.cells),
        "samples": whole.samples,
        "gflops": whole.gflops,
        "device_hours": sum(its.device_seconds for its in models) / 3600,
        "disk_bytes": estimate.disk_bytes,
        "left": {
            "trials": len(found.left),
            "samples": sum(its.samples_left for its in models),
            "gflops": sum(its.gflops_left for its in models),
            "device_hours": sum(its.device_seconds_left for its in models) / 3600,
        },
        "done": found.done,
        "failed": {trial_id: failure.text for trial_id, failure in found.failed.items()},
        "blocked": {trial_id: failure.text for trial_id, failure in found.blocked.items()},
        "machine": {
            "gpus": machine.gpus,
            "cpus": machine.cpus,
            "slots": machine.slots,
            "too_large": estimate.too_large,
        },
        "pace": {"device": paces.device, "tflops": paces.tflops, "mfu": paces.mfu},
        "makespan": takes and {"seconds": takes.seconds, "lower_bound_seconds": takes.bound},
        "trunk_sharing": {
            "gflops_without": sharing.without_gflops,
            "gflops_with": sharing.with_gflops,
            "saved": sharing.saved,
            "device_hours_saved": sum(
                its.device_seconds_alone - its.device_seconds for its in models
            )
            / 3600,
            **dataclasses.asdict(rows(plan)),
        },
        "models": [_model(its) for its in models],
        "trials": [_trial(planned, found) for planned in plan.trials],
    }


def _model(its: ModelEstimate) -> dict[str, Any]:
    return {
        "family": its.family,
        "model": its.model,
        "cells": its.cells,
        "trials": dict(its.kinds),
        "samples": its.samples,
        "gflops": its.gflops,
        "samples_per_second": its.pace.samples_per_second,
        "pace": its.pace.source,
        "device_hours": its.device_seconds / 3600,
        "memory_bytes": {
            "states": its.memory.states,
            "activations": its.memory.activations,
            "rows": its.memory.rows,
        },
        "checkpoints": its.checkpoints,
        "bytes_per_checkpoint": its.bytes_per_checkpoint,
    }


def _trial(planned: PlannedTrial, found: Survey) -> dict[str, Any]:
    trial = planned.trial
    left = found.left.get(trial.id)
    return {
        "id": trial.id,
        "kind": trial.kind,
        "family": trial.family,
        "model": trial.model,
        "samples": planned.samples,
        "samples_left": left.samples if left else 0,
        "gflops": planned.samples * planned.profile.published_gflops,
        "execution": dataclasses.asdict(planned.execution),
        "stops": [stop.samples_seen for stop in planned.stops],
        "branches_off": planned.branch and planned.branch[0],
    }
