"""A run in a process of its own, for tests that stop or kill it: DB EXECUTOR TRAINER [GRID].

EXECUTOR is 'local', 'ray' or the address of a Ray cluster. SCRATCH in the environment puts
checkpoints at the address of a folder, and trials there.
"""

import json
import os
import sys
from pathlib import Path

from small_plans import plan_of

from scaling.orchestrator import Lines, LocalExecutor, RayExecutor, run_plan
from scaling.storage import Storage, storage_at
from scaling.store import Store


def root(db: Path) -> Path | Storage:
    folder = db.parent / "checkpoints"
    scratch = os.environ.get("SCRATCH")
    return storage_at(f"file://{folder}", Path(scratch)) if scratch else folder


db, executor, trainer = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with Store(db) as store:
    outcome = run_plan(
        plan_of(**json.loads(sys.argv[4]) if sys.argv[4:] else {}),
        store,
        checkpoints=root(db),
        executor=LocalExecutor(trainer)
        if executor == "local"
        else RayExecutor(address=None if executor == "ray" else executor, trainer=trainer),
        show=Lines(sys.stderr),
    )
sys.stdout.write(f"{outcome}\n{'ray' in sys.modules}\n")
sys.exit(outcome.exit_code)
