"""What `scaling tasks` prints."""

from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

Record = dict[str, Any]

_WIDTHS = (34, 26, 10)
_HERE = {True: "yes", False: "no", None: "?"}


def show(found: Record) -> None:
    """All tasks, by kind, and all suites: one line each, cut at the edge of a terminal."""
    console = Console(highlight=False)
    by_kind = sorted(found["tasks"], key=lambda task: str(task["kind"]))
    for kind, tasks in groupby(by_kind, key=lambda task: str(task["kind"])):
        _line(console, kind, "main metric", "here", "set", style="bold")
        for task in tasks:
            here = _HERE[task["here"]]
            _line(console, task["name"], task["main_metric"], here, _set(task))
        console.print()
    _line(console, "suite", "metric", "here", "what it is", style="bold")
    for suite in found["suites"]:
        here = f"{suite['members_here']} of {len(suite['members'])}"
        _line(console, suite["name"], suite["metric"], here, suite["about"])
    console.print(f"\n{_about_the_folder(found)}", soft_wrap=True)
    console.print("`scaling tasks NAME` tells all of one, and how to obtain its set.")


def show_each(found: Record) -> None:
    """Every task and suite in words; of a suite its members' names."""
    console = Console(highlight=False)
    members = {task for suite in found["suites"] for task in suite["members"]}
    blocks = [_suite_in_words(suite) for suite in found["suites"]]
    blocks += [_task_in_words(task) for task in found["tasks"] if task["name"] not in members]
    console.print("\n\n".join(blocks), soft_wrap=True, markup=False)
    if any(task["here"] is None for task in found["tasks"]):
        console.print(f"\n{_about_the_folder(found)}", soft_wrap=True)


def show_missing(found: Record) -> None:
    """One line a task whose set is not as it has to be, and how to get it."""
    console = Console(highlight=False)
    missing = [task for task in found["tasks"] if task["missing"]]
    for task in missing:
        console.print(f"{task['name']}: {task['missing']}", soft_wrap=True, markup=False)
        if how := task["download"] or task["obtain"]:
            console.print(f"    {how}", soft_wrap=True, markup=False)
    count = len(found["tasks"])
    console.print(f"{count - len(missing)} of {count} tasks can be measured here")


def _line(console: Console, *cells: str, style: str = "") -> None:
    widths = (*_WIDTHS, 0)
    line = "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    if console.is_terminal and len(line) > console.width:
        line = f"{line[: console.width - 1]}…"
    console.print(Text(line, style=style), soft_wrap=True)


def _set(task: Record) -> str:
    chosen = task["set"] or {}
    return str(chosen.get("folder") or " ".join(map(str, chosen.values())))


def _suite_in_words(suite: Record) -> str:
    lines = [suite["name"], f"  {suite['about']}", f"  metric   {suite['metric']}"]
    metrics = [
        task if its == [suite["metric"]] else f"{task} ({' and '.join(its)})"
        for task, its in suite["members"].items()
    ]
    here = f"{len(metrics)} tasks, {suite['members_here']} of them here"
    lines.append(f"  mean of  {here}: {', '.join(metrics)}")
    return "\n".join(lines)


def _task_in_words(task: Record) -> str:
    others = [metric for metric in task["metrics"] if metric != task["main_metric"]]
    lines = [
        task["name"],
        f"  {task['about']}",
        f"  kind     {task['kind']}" + (f" (needs {task['needs']})" if task["needs"] else ""),
        f"  metrics  {', '.join([task['main_metric'] + ' (the main one)', *others])}",
    ]
    if task["set"]:
        lines.append(f"  set      {_options(task['set'])}")
    if task["options"]:
        lines.append(f"  options  {_options(task['options'])}")
    if task["obtain"]:
        lines.append(f"  obtain   {task['obtain']}")
    if task["download"] and not task["here"]:
        lines.append(f"           {task['download']}")
    missing = f": {task['missing']}" if task["here"] is False else ""
    lines.append(f"  here     {_HERE[task['here']]}{missing}")
    return "\n".join(lines)


def _options(options: Record) -> str:
    return ", ".join(f"{key}: {_value(value)}" for key, value in options.items())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{_options(value)}}}"
    return str(value).replace("'", "")


def _about_the_folder(found: Record) -> str:
    if found["evaluation_sets"]:
        return f"here: in {found['evaluation_sets']}"
    return (
        "here: say where evaluation sets are by --evaluation-sets FOLDER, or by the variable "
        "SCALING_EVALUATION_SETS"
    )
