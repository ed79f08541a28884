"""A small plan, and the records of attempts at its trials."""

from pathlib import Path
from typing import Any

from scaling.grid import expand, parse_grid
from scaling.plan import Plan
from scaling.trial import Checkpoint, CurvePoint, Measurement

GRID: dict[str, Any] = {
    "study": "small",
    "families": ["clip", "mammut"],
    "models": ["tiny-a"],
    "samples_seen": [1024, 2048],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": ["const-cooldown", "cosine"],
    "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "256 samples"}],
    "evaluate": ["shapes_classification"],
}


def plan_of(**changes: Any) -> Plan:
    return expand(parse_grid({**GRID, **changes}, "grid.yaml"), text="text", source="grid.yaml")


def trial_id_of(plan: Plan, kind: str) -> str:
    return next(its.trial.id for its in plan.trials if its.trial.kind == kind)


def measurement(trial_id: str, **changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "samples_seen": 1024,
        "task": "shapes_classification",
        "metric": "acc1",
        "value": 0.25,
    }
    return Measurement(trial_id=trial_id, **{**fields, **changes})


def checkpoint(trial_id: str, **changes: Any) -> Checkpoint:
    fields: dict[str, Any] = {
        "samples_seen": 1024,
        "path": Path(trial_id) / "1024-1.pt",
        "sha256": "ab" * 32,
        "bytes": 7,
    }
    return Checkpoint(trial_id=trial_id, **{**fields, **changes})


def curve_point(trial_id: str, **changes: Any) -> CurvePoint:
    fields: dict[str, Any] = {"samples_seen": 64, "loss": 4.5}
    return CurvePoint(trial_id=trial_id, **{**fields, **changes})
