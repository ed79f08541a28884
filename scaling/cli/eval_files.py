"""`scaling eval --checkpoint`: what is said of files of weights, checked and planned."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import typer

from scaling.cli.eval_requests import Asked, Common, count
from scaling.errors import ScalingError
from scaling.evals._evaluation import Evaluation
from scaling.evaluating.foreign import Lengths, files_of, foreign_plan, foreign_trials
from scaling.evaluating.tasks import check_tasks, members, with_choices
from scaling.families import find_model
from scaling.families._images import Colour, Interpolation, Resize
from scaling.families._open_clip import canonical_name
from scaling.foreign import Described
from scaling.grid.expand import evaluation_of, sets_folder
from scaling.grid.recorded import recorded_grid
from scaling.orchestrator.files import Files
from scaling.plan import Plan
from scaling.store import GRID, MeasuringStore, Reader
from scaling.weights.preprocessing import Chosen

_DEFAULT_STUDY = "checkpoints"


class Description(NamedTuple):
    """What is said of files of weights."""

    family: str | None
    model: str | None
    dataset: str | None
    schedule: str
    seed: int
    samples_seen: tuple[str, ...]
    samples_per_epoch: str | None

    def described(self) -> Described:
        """The same, complete but for samples seen; raises `ScalingError` if it is not."""
        missing = [*self._missing()]
        if missing or self.family is None or self.model is None or self.dataset is None:
            raise ScalingError(
                f"a file of weights does not say what it is: give {', '.join(missing)}"
            )
        for option, name in (("--dataset", self.dataset), ("--schedule", self.schedule)):
            _check_name(option, name)
        find_model(self.family, self.model)
        return Described(
            family=self.family,
            model=canonical_name(self.model),
            dataset=self.dataset,
            samples_seen=0,
            schedule=self.schedule,
            seed=self.seed,
        )

    def lengths(self) -> Lengths:
        """How long each was trained; raises `ScalingError`."""
        if len(self.samples_seen) + (self.samples_per_epoch is not None) > 1:
            raise ScalingError("give --samples-seen once, or --samples-per-epoch instead")
        if self.samples_per_epoch is not None:
            epoch = count("--samples-per-epoch", self.samples_per_epoch)
            return Lengths(samples_per_epoch=epoch)
        return Lengths(samples_seen=count("--samples-seen", *self.samples_seen))

    def _missing(self) -> Iterator[str]:
        for option, its in (
            ("--family", self.family),
            ("--model", self.model),
            ("--dataset", self.dataset),
            ("--samples-seen", self.samples_seen or self.samples_per_epoch),
        ):
            if not its:
                yield option


class Pictures(NamedTuple):
    """How a network was shown pictures, as far as it is said."""

    mean: str | None
    std: str | None
    resize: Resize | None
    interpolation: Interpolation | None

    def chosen(self) -> Chosen:
        """The same, parsed; raises `ScalingError`."""
        mean, std = _colour("--mean", self.mean), _colour("--std", self.std)
        return Chosen(mean, std, self.resize, self.interpolation)


@dataclass(frozen=True, kw_only=True)
class FilesRequest:
    """Of files of weights."""

    common: Common
    files: tuple[str, ...]
    description: Description
    pictures: Pictures

    def plan(self, store: Reader | None, files: Files) -> Asked:
        """See `Request.plan`; says how pictures are prepared, which nothing else would show."""
        common = self.common
        study = common.study or _DEFAULT_STUDY
        _check_name("--study", study)
        described = self.description.described()
        evaluation = with_choices(_of_study(store, study), common.sets, common.broken)
        tasks = members(evaluation, common.tasks)
        check_tasks(evaluation, tasks, {described.family})
        trials = foreign_trials(
            files_of(self.files), described, self.description.lengths(), self.pictures.chosen()
        )
        for preprocessing, why in dict.fromkeys((its.preprocessing, why) for its, why in trials):
            typer.echo(f"pictures: {preprocessing} ({why})", err=True)
        its = [trial for trial, _ in trials]
        return Asked(foreign_plan(its, tasks, study=study, evaluation=evaluation))

    def record(self, store: MeasuringStore, plan: Plan) -> None:
        """See `Request.record`."""
        store.record_foreign(plan)


def _of_study(store: Reader | None, study: str) -> Evaluation:
    """How a study's grid measures, whose tasks are known as well; if there is such a study."""
    if store is None or study not in {its.name for its in store.studies() if its.source == GRID}:
        return Evaluation(sets=sets_folder())
    grid = recorded_grid(store.grid_of(study)[1], study)
    return evaluation_of(grid, grid.declared)


def _colour(option: str, text: str | None) -> Colour | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in re.split(r"[,\s]+", text.strip())]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(0 <= number <= 1 for number in numbers):
        raise ScalingError(
            f"{option}: {text!r} is not a number from 0 to 1, or three: 0.5,0.5,0.5"
        )
    red, green, blue = numbers * 3 if len(numbers) == 1 else numbers
    if option == "--std" and 0 in (red, green, blue):
        raise ScalingError(f"{option}: pictures are divided by it: it cannot be 0")
    return red, green, blue


def _check_name(option: str, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ScalingError(f"{option}: {name!r} is no name: letters, digits and . _ - after one")
