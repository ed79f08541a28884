"""Plans to estimate."""

from typing import Any

from scaling.grid import expand, parse_grid
from scaling.plan import Plan

GRID: dict[str, Any] = {
    "study": "small",
    "families": ["clip"],
    "models": ["tiny-a", "tiny-c"],
    "samples_seen": [1024, 2048, 4096],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": ["const-cooldown"],
    "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "256 samples"}],
    "evaluate": ["shapes_classification"],
}


def plan_of(**changes: Any) -> Plan:
    return expand(parse_grid({**GRID, **changes}, "grid.yaml"), text="", source="grid.yaml")
