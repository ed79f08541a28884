"""How close runs come to the shortest time that any order could take.

    python benchmarks/makespan.py

No order goes below the work shared evenly by the slots, nor below the longest trunk and cooldown.
First the reference study's grid, simulated on 64 GPUs with the order and the rule of starting that
a run has; then a grid of tiny trials, trained on two CPU slots, against that bound of the seconds
that its attempts took.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from scaling.grid import expand, parse_grid
from scaling.orchestrator.order import Order
from scaling.plan import Plan
from scaling.planning import Machine, Paces, estimate, nothing_done
from scaling.planning.makespan import makespan

STUDY: dict[str, Any] = {
    "study": "reference",
    "families": ["clip", "mammut"],
    "models": [
        *("ViT-S-32", "ViT-S-16", "ViT-S-14", "ViT-M-32", "ViT-M-16", "ViT-M-14"),
        *("ViT-B-32", "ViT-B-16", "ViT-B-14", "ViT-L-32", "ViT-L-16", "ViT-L-14"),
        *("ViT-H-32", "ViT-H-16", "ViT-H-14"),
    ],
    "samples_seen": [
        *("1.28M", "3.072M", "6.4M", "12.8M", "30.72M", "64M", "128M", "307.2M", "640M"),
        *("1.28B", "3.072B"),
    ],
    "datasets": {"one": {"kind": "shapes"}},
    "recipes": [{"batch_size": 1024, "warmup": "102400 samples", "learning_rate": 1e-3}],
    "evaluate": ["shapes_classification"],
}
SIZES = {
    "one GPU a trial": {"L": 1, "H": 1},
    "L on 4 GPUs, H on 8": {"L": 4, "H": 8},
    "L on 8 GPUs, H on 32": {"L": 8, "H": 32},
    "L on 3 GPUs, H on 12": {"L": 3, "H": 12},
    "B on 2 GPUs, L on 8, H on 16": {"B": 2, "L": 8, "H": 16},
    "B on 4 GPUs, L on 16, H on 64": {"B": 4, "L": 16, "H": 64},
    "S on half a GPU, L on 8, H on 32": {"S": 0.5, "L": 8, "H": 32},
}
"""GPUs of a trial by the size of its model; the others have one."""
SCHEDULES = {
    "cosine": "cosine",
    "trunks and cooldowns": {"kind": "const-cooldown", "cooldown": 0.2},
}
ORDERS: tuple[Order, ...] = ("critical-path", "as-written")
TINY: dict[str, Any] = {
    "study": "uneven",
    "families": ["clip", "mammut"],
    "models": ["tiny-a", "tiny-b", "tiny-c"],
    "samples_seen": [1024 * 2**power for power in range(6)],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": [SCHEDULES["trunks and cooldowns"]],
    "recipes": [
        {"batch_size": 64, "warmup": "512 samples", "learning_rate": 1e-3, "precision": "fp32"}
    ],
    "evaluate": ["shapes_classification"],
}
SLOTS = 2


def plan_of(grid: dict[str, Any]) -> Plan:
    """The trials of a grid."""
    return expand(parse_grid(grid, "grid.yaml"), text="", source="grid.yaml")


def simulate() -> None:
    """Print the bound over the simulated makespan, by schedule, GPUs and order."""
    machine = Machine(gpus=64, cpus=512)
    for schedule, written in SCHEDULES.items():
        for gpus, sizes in SIZES.items():
            resources = {
                model: {"gpus": sizes[model[4]]} for model in STUDY["models"] if model[4] in sizes
            }
            plan = plan_of({**STUDY, "schedules": [written], "resources": resources})
            for order in ORDERS:
                took = estimate(plan, nothing_done(plan), machine, Paces(machine), order).makespan
                assert took
                print(
                    f"simulated, {schedule}, {gpus}, {order}: {len(plan.trials)} trials, bound "
                    f"{took.bound / 86400:.1f} days, {took.bound / took.seconds:.3f} of it "
                    f"reached; {took.gang_bound / took.seconds:.3f} of that of gangs"
                )


def train(folder: Path) -> None:
    """Print the bound over the time of a real run."""
    (folder / "grid.yaml").write_text(json.dumps(TINY))  # JSON is YAML
    command = [sys.executable, "-m", "scaling", "run", "grid.yaml", "--slots", str(SLOTS)]
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    wall = time.perf_counter() - began
    plan, machine = plan_of(TINY), Machine(gpus=0, cpus=SLOTS)
    seconds, span = attempts(folder / "results.db")
    per_sample = {its.trial.id: seconds[its.trial.id] / its.samples for its in plan.trials}
    bound = makespan(plan, nothing_done(plan), per_sample, machine).bound
    shortest, longest = min(seconds.values()), max(seconds.values())
    print(
        f"trained, {len(plan.trials)} trials of {shortest:.1f} to {longest:.1f} s on {SLOTS} "
        f"slots: bound {bound:.1f} s; from the first start to the last end {span:.1f} s, "
        f"{bound / span:.3f} of it reached; the whole command {wall:.1f} s, {bound / wall:.3f}"
    )


def attempts(store: Path) -> tuple[Counter[str], float]:
    """Seconds of each trial in attempts, and from the first start to the last end of all."""
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT trial_id, started, ended FROM attempt").fetchall()
    spans = [(its, *map(datetime.fromisoformat, moments)) for its, *moments in rows]
    seconds: Counter[str] = Counter()
    for trial_id, started, ended in spans:
        seconds[trial_id] += (ended - started).total_seconds()
    first, last = min(its[1] for its in spans), max(its[2] for its in spans)
    return seconds, (last - first).total_seconds()


def main() -> None:
    """Simulate, then train."""
    simulate()
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder))


if __name__ == "__main__":
    main()
