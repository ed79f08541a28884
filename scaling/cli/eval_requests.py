"""What `scaling eval` is asked, checked, planned and carried out."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import typer

from scaling.database import Database
from scaling.errors import ScalingError
from scaling.evaluating.own import Which, own_plan, some_of
from scaling.evaluating.tasks import check_tasks, members, with_choices
from scaling.evaluation_sets import Broken
from scaling.grid.expand import evaluation_of
from scaling.grid.recorded import recorded_grid
from scaling.orchestrator import LocalExecutor, Outcome, RayExecutor, stderr_display
from scaling.orchestrator.evaluation import MEASURER, run_evaluation
from scaling.orchestrator.files import Files
from scaling.orchestrator.run import Means
from scaling.orchestrator.status_file import checkpoints_root
from scaling.plan import Plan
from scaling.store import MeasuringStore, Reader, Store, exists
from scaling.units import parse_count

Row = dict[str, Any]
"""A number: trial, family, model, samples_seen, task, metric, value."""

_DEFAULT_STUDY = "checkpoints"


class Machine(NamedTuple):
    """Where results and checkpoints are, and what measures."""

    db: Database
    checkpoints: str | None
    executor: str
    slots: int | None
    address: str | None

    def files(self) -> Files:
        """Where checkpoints are, and journals and logs go: where the last run had them."""
        return Files(checkpoints_root(self.db, self.checkpoints))

    def means(self, store: MeasuringStore, files: Files) -> Means:
        """What an evaluation is carried out with."""
        return Means(
            store=store,
            files=files,
            executor=LocalExecutor(MEASURER)
            if self.executor == "local"
            else RayExecutor(slots=self.slots, address=self.address, trainer=MEASURER),
            show=stderr_display(),
        )


class Common(NamedTuple):
    """What is asked in any case."""

    tasks: tuple[str, ...]
    study: str | None
    sets: Path | None
    broken: Broken | None


class Asked(NamedTuple):
    """What is to be measured."""

    plan: Plan
    gone: int = 0
    """Checkpoints that were asked for and saved, and whose files are not there any more."""


class Answer(NamedTuple):
    """What came of it."""

    rows: list[Row]
    """All that was asked for, as far as it is measured."""
    outcome: Outcome
    gone: int

    @property
    def exit_code(self) -> int:
        """That of the outcome, and 1 as well if checkpoints are gone."""
        return self.outcome.exit_code or int(self.gone > 0)


class Request(Protocol):
    """What is asked; frozen."""

    def plan(self, store: Reader | None, files: Files) -> Asked:
        """What is to be measured; raises `ScalingError`. None is a store that is not there."""
        ...

    def record(self, store: MeasuringStore, plan: Plan) -> None:
        """Let `store` know the trials of `plan`."""
        ...


@dataclass(frozen=True, kw_only=True)
class OwnRequest:
    """Of a study's own checkpoints."""

    common: Common
    trial: str | None
    family: str | None
    model: str | None
    samples_seen: tuple[str, ...]
    every_checkpoint: bool

    def plan(self, store: Reader | None, files: Files) -> Asked:
        """See `Request.plan`; says what of it cannot be measured."""
        assert store is not None
        common = self.common
        study, text = store.grid_of(common.study)
        grid = recorded_grid(text, study)
        evaluation = with_choices(evaluation_of(grid, grid.declared), common.sets, common.broken)
        tasks = members(evaluation, common.tasks)
        check_tasks(evaluation, tasks, ())
        which = Which(
            trial=self.trial,
            family=self.family,
            model=self.model,
            samples_seen=tuple(count("--samples-seen", n) for n in self.samples_seen),
            every_checkpoint=self.every_checkpoint,
        )
        found = own_plan(
            store.study_trials(study),
            which,
            tasks,
            grid=grid,
            evaluation=evaluation,
            files=files,
        )
        families = {planned.trial.family for planned in found.plan.trials}
        check_tasks(evaluation, tasks, families)
        if found.gone:
            places = [files.storage.place(each.path) for each in found.gone]
            typer.echo(
                f"{len(places)} checkpoints are recorded and not there any more: "
                f"{some_of(places)}",
                err=True,
            )
        if found.untrained:
            typer.echo(
                f"{found.untrained} cells have no checkpoint yet; `scaling run` trains them",
                err=True,
            )
        return Asked(found.plan, len(found.gone))

    def record(self, store: MeasuringStore, plan: Plan) -> None:
        """See `Request.record`; it knows them."""


def answer(request: Request, machine: Machine) -> Answer:
    """Measure what is asked and not measured yet."""
    files = machine.files()
    if exists(machine.db) or isinstance(request, OwnRequest):
        with Store.read(machine.db) as reader:
            plan, gone = request.plan(reader, files)
    else:
        plan, gone = request.plan(None, files)
    # Nothing is written before all that can be wrong with the request has been looked at.
    with MeasuringStore(machine.db) as store:
        request.record(store, plan)
        outcome = run_evaluation(plan, machine.means(store, files))
        return Answer(_rows(plan, store), outcome, gone)


def refuse(options: Mapping[str, object], *, has_files: bool) -> None:
    """Raise `ScalingError` for options that are given and mean nothing here."""
    given = [name for name, value in options.items() if value not in (None, False)]
    if not given:
        return
    whom = (
        "of a study's own checkpoints, and not with --checkpoint"
        if has_files
        else ("of files that --checkpoint names")
    )
    raise ScalingError(f"{', '.join(given)}: only {whom}")


def _rows(plan: Plan, store: Reader) -> list[Row]:
    """By family, model, samples seen and trial; tasks as they were asked for."""
    values: defaultdict[tuple[str, int, str], dict[str, float]] = defaultdict(dict)
    measured = store.values([planned.trial.id for planned in plan.trials])
    for (trial_id, samples_seen, task, metric), value in measured.items():
        values[trial_id, samples_seen, task][metric] = value
    stops = [(planned.trial, stop) for planned in plan.trials for stop in planned.stops]
    ordered = sorted(
        stops, key=lambda its: (its[0].family, its[0].model, its[1].samples_seen, its[0].id)
    )
    return [
        {
            "trial": trial.id,
            "family": trial.family,
            "model": trial.model,
            "samples_seen": stop.samples_seen,
            "task": task,
            "metric": metric,
            "value": found,
        }
        for trial, stop in ordered
        for task in stop.tasks
        for metric in plan.evaluation.task(task).metrics
        if (found := values[trial.id, stop.samples_seen, task].get(metric)) is not None
    ]


def count(option: str, text: str) -> int:
    """The count that is given to an option; raises `ScalingError`."""
    try:
        return parse_count(text)
    except ValueError as error:
        raise ScalingError(f"{option}: {error}") from None
