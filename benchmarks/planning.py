"""CPU time of planning 100,800 cells, against importing torch and ray, which planning does not.

    python benchmarks/planning.py

CPU seconds of whole processes, so that what else the machine does is not counted.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPEATS = 5
COUNTS = [1_280_000 * 2**power for power in range(10)]
GRID: dict[str, Any] = {
    "study": "large",
    "families": ["clip", "mammut"],
    "models": [
        *("ViT-S-32", "ViT-S-16", "ViT-S-14", "ViT-M-32", "ViT-M-16", "ViT-M-14"),
        *("ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-H-14"),
    ],
    "samples_seen": COUNTS,
    "datasets": {"one": {"kind": "shapes"}, "two": {"kind": "shapes", "unique": 100_000}},
    "schedules": [
        "cosine",
        "const-cooldown",
        {"kind": "const-cooldown", "name": "long", "cooldown": 0.3},
    ],
    "recipes": [
        {"batch_size": 1024, "warmup": 102_400, "learning_rate": [n / 1000 for n in range(1, 7)]}
    ],
    "evaluate": ["shapes_classification"],
    "seeds": list(range(14)),
}


def cpu_seconds(command: list[str]) -> float:
    """Median CPU time of `command`, after one run that warms the file cache."""
    seconds = []
    for _ in range(REPEATS + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(seconds[1:])


def main() -> None:
    """Print the seconds and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder) / "large.yaml"
        grid.write_text(json.dumps(GRID))  # JSON is YAML
        plan = [sys.executable, "-m", "scaling", "plan", str(grid), "--gpus", "64"]
        baseline = cpu_seconds([sys.executable, "-c", "import torch, ray"])
        seconds = cpu_seconds(plan)
        cells = 10 * 2 * len(COUNTS) * 2 * 3 * 6 * 14
        print(f"baseline: import torch, ray: {baseline:.2f} s of CPU")
        print(f"scaling plan, {cells:,} cells: {seconds:.2f} s, {seconds / baseline:.2f} times it")


if __name__ == "__main__":
    main()
