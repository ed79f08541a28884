"""The checkpoints of a study that a grid has trained."""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass, replace

from scaling.errors import StoreError, unknown
from scaling.evals._evaluation import Evaluation
from scaling.families import FAMILIES
from scaling.grid.machine import of_model
from scaling.grid.spec import Grid
from scaling.orchestrator.files import Files
from scaling.plan import Plan, PlannedTrial, Resources
from scaling.store.evaluated import StudyTrial
from scaling.trial import Checkpoint, Execution, Stop

_EXECUTION = Execution(micro_batch_size="auto")
"""Says nothing about rows, of which an evaluation has its own number."""

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Which:
    """Which checkpoints; None and emptiness mean all of them."""

    trial: str | None = None
    """A pattern of ids (`*`, `?`), or how they begin."""
    family: str | None = None
    model: str | None = None
    samples_seen: tuple[int, ...] = ()
    every_checkpoint: bool = False
    """Also those that no cell reads: where cooldowns branch off, and where a run was stopped."""

    def has_trial(self, its: StudyTrial) -> bool:
        """Whether a trial is meant."""
        trial = its.trial
        pattern = self.trial or "*"
        named = trial.id.startswith(pattern) or fnmatch.fnmatchcase(trial.id, pattern)
        return (
            named
            and self.family in (None, trial.family)
            and self.model in (None, trial.model)
            and bool(its.read_at or self.every_checkpoint)
        )

    def has_checkpoint(self, its: StudyTrial, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint of such a trial is meant."""
        seen = checkpoint.samples_seen
        return (seen in its.read_at or self.every_checkpoint) and (
            not self.samples_seen or seen in self.samples_seen
        )


@dataclass(frozen=True, kw_only=True)
class OwnPlan:
    """What is to be measured, and what of what was asked for cannot be."""

    plan: Plan
    gone: tuple[Checkpoint, ...]
    """Recorded, but their files are not there any more."""
    untrained: int
    """Cells that are meant, of which there was no checkpoint yet."""


def own_plan(
    trials: Iterable[StudyTrial],
    which: Which,
    tasks: tuple[str, ...],
    *,
    grid: Grid,
    evaluation: Evaluation,
    files: Files,
) -> OwnPlan:
    """Stops at the checkpoints among those of `trials` that are meant and are there.

    Raises `StoreError` if there is none: no such trial, none trained so far, or all files gone.
    """
    every = list(trials)
    meant = [its for its in every if which.has_trial(its)]
    if not meant:
        raise StoreError(_no_trial(every, which))
    _check_samples_seen(meant, which)
    planned: list[PlannedTrial] = []
    gone: list[Checkpoint] = []
    untrained = 0
    for its in meant:
        saved = [each for each in its.checkpoints if which.has_checkpoint(its, each)]
        there = {each.samples_seen for each in files.present(saved)}
        gone += [each for each in saved if each.samples_seen not in there]
        wanted = set(which.samples_seen) & its.read_at if which.samples_seen else its.read_at
        untrained += len(wanted - {each.samples_seen for each in saved})
        if there:
            planned.append(_planned(its, sorted(there), tasks, grid))
    if not planned:
        raise StoreError(_no_checkpoint(gone, meant, files))
    return OwnPlan(
        plan=Plan(
            study=grid.study,
            cells=(),
            trials=tuple(planned),
            grid_text="",
            evaluation=replace(evaluation, tasks={name: evaluation.task(name) for name in tasks}),
        ),
        gone=tuple(gone),
        untrained=untrained,
    )


def _check_samples_seen(meant: list[StudyTrial], which: Which) -> None:
    """Raise `StoreError` for samples seen at which nothing is, or will be."""
    known = {n for its in meant for n in its.read_at}
    if which.every_checkpoint:
        known |= {each.samples_seen for its in meant for each in its.checkpoints}
    if strangers := set(which.samples_seen) - known:
        raise StoreError(
            f"--samples-seen: nothing is at {_counts(strangers)}; there is {_counts(known)}"
        )


def _counts(samples_seen: Iterable[int]) -> str:
    return some_of([f"{n:,}" for n in sorted(samples_seen)])


def _planned(
    its: StudyTrial, samples_seen: list[int], tasks: tuple[str, ...], grid: Grid
) -> PlannedTrial:
    trial = its.trial
    rule = of_model(grid.resources, trial.model)
    asked = Resources(gpus=rule.gpus, cpus=rule.cpus) if rule else Resources()
    return PlannedTrial(
        trial=trial,
        stops=tuple(Stop(samples_seen=n, tasks=tasks) for n in samples_seen),
        profile=FAMILIES.get(trial.family).profile(trial.model),
        # Whatever trained it, one process measures it.
        resources=replace(asked, gpus=min(asked.gpus, 1.0)),
        execution=_EXECUTION,
    )


def _no_trial(trials: list[StudyTrial], which: Which) -> str:
    for word, name, known in (
        ("family of this study", which.family, {its.trial.family for its in trials}),
        ("model of this study", which.model, {its.trial.model for its in trials}),
        ("trial", which.trial, {its.trial.id for its in trials}),
    ):
        if name is not None and not any(fnmatch.fnmatchcase(each, f"{name}*") for each in known):
            return unknown(word, name, known)
    return (
        "no trial is all of that and read by a cell; trunks, off which cooldowns branch, are "
        "measured with --every-checkpoint"
    )


def _no_checkpoint(gone: list[Checkpoint], meant: list[StudyTrial], files: Files) -> str:
    if gone:
        places = [files.storage.place(each.path) for each in gone]
        return f"checkpoints that were saved are not there any more: {some_of(places)}"
    return (
        f"{len(meant)} trials, and none has a checkpoint that a cell reads yet; `scaling run` "
        "makes them"
    )


def some_of(texts: list[str]) -> str:
    """The first few, and how many there are besides."""
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
