"""Tasks by name, checked before anything starts."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from scaling.errors import DataError, ScalingError, unknown
from scaling.evals._catalogue import CATALOGUE
from scaling.evals._evaluation import Evaluation
from scaling.evals._suites import SUITES
from scaling.evaluation_sets import Broken
from scaling.families import FAMILIES


def with_choices(evaluation: Evaluation, sets: Path | None, broken: Broken | None) -> Evaluation:
    """`evaluation` with the folder of sets, and what becomes of broken pictures, if given."""
    return replace(
        evaluation,
        sets=sets.expanduser().absolute() if sets else evaluation.sets,
        broken=broken or evaluation.broken,
    )


def members(evaluation: Evaluation, names: Sequence[str]) -> tuple[str, ...]:
    """Each task once, the members of a suite in its place, as in a grid."""
    tasks = [
        task
        for name in names
        for task in (
            SUITES[name].members if name in SUITES and name not in evaluation.tasks else [name]
        )
    ]
    return tuple(dict.fromkeys(tasks))


def check_tasks(evaluation: Evaluation, names: Sequence[str], families: Collection[str]) -> None:
    """Raise `ScalingError` for a task that is not known, that one of `families` cannot do, or
    whose data is not on this machine; for all such tasks at once."""
    problems = [
        problem for name in names for problem in _problems(evaluation, name, sorted(families))
    ]
    if problems:
        raise ScalingError("\n  ".join(problems))


def _problems(evaluation: Evaluation, name: str, families: Sequence[str]) -> list[str]:
    known = {*evaluation.tasks, *CATALOGUE, *SUITES}
    if name not in known:
        return [unknown("task", name, known)]
    task = evaluation.task(name)
    needed = task.of_kind.needs
    unable = [
        family
        for family in families
        if needed is not None and needed not in FAMILIES.get(family).abilities
    ]
    if unable:
        able = [family for family in families if family not in unable]
        hint = f"; say --family {able[0]}" if able else ""
        return [f"{name} needs {needed}, which {', '.join(unable)} does not give{hint}"]
    try:
        task.check(evaluation.sets)
    except DataError as error:
        return [f"{name}: {error}"]
    return []
