"""`scaling tasks`: what can be measured by name, on which sets, and how to get them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli.options import Json
from scaling.errors import DataError, ScalingError, unknown

if TYPE_CHECKING:
    from scaling.evals._declared import Task
    from scaling.evals._suites import Suite

_HUB = "https://huggingface.co/datasets/"


def tasks(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Tell all of these tasks or suites."),
    ] = None,
    evaluation_sets: Annotated[
        Path | None,
        typer.Option(
            help="The folder of evaluation sets (default: what SCALING_EVALUATION_SETS says)."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what is missing; exit code 1 if anything is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the tasks and suites that a grid may name under `evaluate:`.

    A task is a kind of measurement on an evaluation set; a suite is the mean of several tasks.
    With NAME: what it measures, where its set has to be, and how to obtain it. To measure
    something else, declare it in the grid under `tasks:`, see docs/evaluation.md.

      scaling tasks                             all of them, and which are here

      scaling tasks objectnet                   how to obtain its set

      scaling tasks datacomp_average --check    what is missing of a suite
    """
    found = described(names or (), evaluation_sets)
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=2))
    else:
        from scaling.cli import tasks_tables

        if check:
            tasks_tables.show_missing(found)
        elif names:
            tasks_tables.show_each(found)
        else:
            tasks_tables.show(found)
    if check and any(task["missing"] for task in found["tasks"]):
        raise typer.Exit(1)


def described(names: Sequence[str], folder: Path | None) -> dict[str, Any]:
    """Plain data on the tasks and suites of these names, or on all of them.

    Members of a suite that is named are among the tasks. Raises `ScalingError` for a name that is
    unknown.
    """
    from scaling.evals._catalogue import CATALOGUE
    from scaling.evals._suites import SUITES
    from scaling.grid.expand import SETS_VARIABLE

    for name in names:
        if name not in CATALOGUE and name not in SUITES:
            raise ScalingError(unknown("task or suite", name, [*CATALOGUE, *SUITES]))
    suites = [SUITES[name] for name in names or SUITES if name in SUITES]
    members = [task for suite in suites for task in suite.members]
    listed = dict.fromkeys([*(names or CATALOGUE), *members])
    said = folder or os.environ.get(SETS_VARIABLE)
    root = Path(said).expanduser().absolute() if said else None
    rows = [_task(CATALOGUE[name], root) for name in listed if name in CATALOGUE]
    here = {row["name"]: row["here"] for row in rows}
    return {
        "evaluation_sets": str(root) if root else None,
        "tasks": rows,
        "suites": [_suite(suite, here) for suite in suites],
    }


def _task(task: "Task", root: Path | None) -> dict[str, Any]:
    missing = None
    try:
        task.check(root)
    except DataError as error:
        missing = str(error)
    return {
        "name": task.name,
        "about": task.about.about,
        "kind": task.kind,
        "set": task.options.get("set"),
        "options": {key: value for key, value in task.options.items() if key != "set"},
        "metrics": list(task.metrics),
        "main_metric": task.main_metric,
        "needs": task.of_kind.needs,
        "obtain": task.about.obtain or None,
        "download": _download(task, root),
        "here": missing is None if root or missing is None else None,
        "missing": missing,
    }


def _download(task: "Task", root: Path | None) -> str | None:
    """The command that brings a set of the Hugging Face Hub to where it is looked for."""
    folder = task.options.get("set", {}).get("folder")
    if not folder or not task.about.obtain.startswith(_HUB):
        return None
    repository = task.about.obtain.removeprefix(_HUB).split()[0]
    place = (root or Path("EVALUATION_SETS")) / folder
    return f"hf download {repository} --repo-type dataset --local-dir {place}"


def _suite(suite: "Suite", here: dict[str, bool | None]) -> dict[str, Any]:
    return {
        "name": suite.name,
        "about": suite.about,
        "metric": suite.metric,
        "members": {task: list(metrics) for task, metrics in suite.members.items()},
        "members_here": sum(here[task] is True for task in suite.members),
    }
