"""What sharing trunks saves: a cosine for every length against one trunk and a cooldown for each.

    python benchmarks/trunk_sharing.py

The same models and lengths, trained and measured with either schedule, each in one process without
Ray. GFLOPs are forward, as the reference study counts; seconds of training are those that the
store keeps.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scaling.cost import cost
from scaling.grid import load_plan
from scaling.store import Store

SCHEDULES: dict[str, Any] = {
    "cosine": "cosine",
    "trunks and cooldowns": {"kind": "const-cooldown", "cooldown": 0.2},
}
GRID: dict[str, Any] = {
    "study": "sharing",
    "families": ["clip"],
    "models": ["tiny-a", "tiny-c"],
    "samples_seen": [1024 * 2**power for power in range(6)],
    "datasets": {"shapes": {"kind": "shapes"}},
    "recipes": [
        {"batch_size": 64, "warmup": "512 samples", "learning_rate": 1e-3, "precision": "fp32"}
    ],
    "evaluate": ["shapes_classification"],
}


def run(schedule: Any, folder: Path) -> dict[str, float]:
    """Train the grid with a schedule: what it took, by what is counted."""
    grid = folder / "grid.yaml"
    grid.write_text(json.dumps({**GRID, "schedules": [schedule]}))  # JSON is YAML
    command = [sys.executable, "-m", "scaling", "run", grid.name, "--executor", "local"]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    plan = load_plan(grid)
    with Store(folder / "results.db") as store:
        training = sum(its.seconds for its in store.throughputs())
    return {
        "trials": len(plan.trials),
        "GFLOPs": cost(plan.trials).gflops,
        "s of training": training,
        "s of the whole run": wall,
        "s of its CPU time": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def main() -> None:
    """Print a row per schedule, and what the second saves."""
    took = {}
    for name, schedule in SCHEDULES.items():
        with tempfile.TemporaryDirectory() as folder:
            took[name] = run(schedule, Path(folder))
        print(f"{name}: {', '.join(f'{n:.4g} {word}' for word, n in took[name].items())}")
    cosine, shared = took.values()
    saved = [f"{1 - shared[word] / cosine[word]:.0%} {word}" for word in list(cosine)[1:]]
    print(f"saved: {', '.join(saved)}")


if __name__ == "__main__":
    main()
