"""Plans for the fake trainer, and what a run of them leaves in the store."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.grid import expand, parse_grid
from scaling.orchestrator import Budget, Executor, Order, Outcome, Policy, run_plan
from scaling.orchestrator.remaining import Remaining
from scaling.orchestrator.survey import Survey
from scaling.plan import Plan
from scaling.store import Failure, Store, TrialState
from scaling.trial import Event

if TYPE_CHECKING:
    from scaling.storage import Storage

GRID: dict[str, Any] = {
    "study": "small",
    "families": ["clip"],
    "models": ["tiny-a"],
    "samples_seen": [640, 1280],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": ["const-cooldown"],
    "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "64 samples"}],
    "evaluate": ["shapes_classification"],
}
"""One trunk with stops at 512 and 1024, and two cooldowns."""


def plan_of(**changes: Any) -> Plan:
    return expand(parse_grid({**GRID, **changes}, "grid.yaml"), text="", source="grid.yaml")


def everything(plan: Plan) -> Survey:
    """A survey that found nothing done."""
    survey = Survey()
    for planned in plan.trials:
        start = planned.branch[1] if planned.branch else 0
        survey.left[planned.trial.id] = Remaining(planned.stops, start)
        if planned.branch:
            survey.waiting[planned.trial.id] = planned.branch
    return survey


def counts(outcome: Outcome) -> tuple[int, int, int, int, int]:
    """Trials done, done before, failed and blocked; measurements."""
    return (
        outcome.done,
        outcome.already_done,
        outcome.failed,
        outcome.blocked,
        outcome.measurements,
    )


class Record:
    """A display that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.found: list[Event] = []
        self.waited: list[str] = []
        self.slots = 0

    def begin(self, tasks: Sequence[object], done: int, failed: dict[str, Failure]) -> None:
        pass

    def ready(self, slots: int) -> None:
        self.slots = slots

    def state(
        self, trial_id: str, state: TrialState, note: str = "", *, attempt: int | None = None
    ) -> None:
        self.told.append((trial_id, str(state), note))

    def events(self, events: Sequence[Event]) -> None:
        self.found += events

    def waiting(self, reason: str) -> None:
        self.waited.append(reason)

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass

    def started(self) -> list[str]:
        return [trial_id for trial_id, state, _ in self.told if state == "running"]


class Runs:
    """Runs plans with one store and one folder of checkpoints."""

    def __init__(self, folder: Path, executor: "type[Executor]") -> None:
        self.db = folder / "results.db"
        self.checkpoints = folder / "checkpoints"
        self.checkpoints.mkdir(parents=True)
        self.root: str | Path | Storage = self.checkpoints
        self.executor = executor
        self.display: Callable[[], Record] = Record
        self.show = Record()

    def run(
        self,
        plan: Plan,
        trainer: str = "fake_trainer:train",
        *,
        retry: bool = False,
        order: Order = "critical-path",
        budget: Budget = Budget(),  # noqa: B008  # frozen
        stall_seconds: float = 600.0,
        **executor: Any,
    ) -> Outcome:
        self.show = self.display()
        with Store(self.db) as store:
            return run_plan(
                plan,
                store,
                checkpoints=self.root,
                executor=self.executor(trainer=trainer, **executor),
                show=self.show,
                policy=Policy(
                    retry=retry, order=order, budget=budget, stall_seconds=stall_seconds
                ),
            )

    def mischief(self, **orders: dict[str, Any]) -> None:
        (self.checkpoints / "mischief.json").write_text(json.dumps(orders))

    def directory(self, part: str) -> Path:
        """The folder of the only trial with `part` in its id."""
        (found,) = (
            path for path in self.checkpoints.iterdir() if part in path.name and path.is_dir()
        )
        return found

    def results(self) -> list[tuple[object, ...]]:
        """Every measurement and curve point, sorted."""
        with Store(self.db) as store, store.writing() as connection:
            return sorted(
                tuple(row)
                for query in (
                    "SELECT trial_id, samples_seen, task, metric, value FROM measurement",
                    "SELECT trial_id, samples_seen, '', '', loss FROM curve",
                )
                for row in connection.exec_driver_sql(query)
            )
