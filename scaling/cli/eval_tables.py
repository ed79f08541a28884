"""What `scaling eval` prints: every number that was asked for, and what became of the rest."""

import dataclasses
import json
from itertools import groupby

import typer

from scaling.cli.eval_requests import Answer, Row
from scaling.orchestrator import Outcome
from scaling.units import format_count, format_seconds


def show(answer: Answer, *, as_json: bool) -> None:
    """Print what was measured, now or before, and a sentence about what was done for it."""
    if as_json:
        summary = dataclasses.asdict(answer.outcome) | {"gone": answer.gone}
        typer.echo(json.dumps({**summary, "results": answer.rows}, indent=2))
        return
    if answer.rows:
        _table(answer.rows)
    typer.echo(_sentence(answer.outcome))


def _table(rows: list[Row]) -> None:
    """A line a checkpoint and task, with all of its metrics."""
    width = max(len(row["trial"]) for row in rows)
    tasks = max(len(row["task"]) for row in rows)
    for (trial, samples_seen, task), metrics in groupby(
        rows, key=lambda row: (row["trial"], row["samples_seen"], row["task"])
    ):
        values = "  ".join(f"{row['metric']} {row['value']:.4f}" for row in metrics)
        typer.echo(f"{trial:{width}}  {format_count(samples_seen):>7}  {task:{tasks}}  {values}")


def _sentence(outcome: Outcome) -> str:
    if not (outcome.done or outcome.failed or outcome.interrupted):
        return f"nothing to do; trials: {outcome.already_done} measured before"
    counts = {
        "measured": outcome.done,
        "measured before": outcome.already_done,
        "failed": outcome.failed,
        "not finished": outcome.interrupted,
    }
    trials = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    sentence = f"trials: {trials}; {outcome.measurements} measurements recorded in "
    sentence += format_seconds(outcome.seconds)
    if outcome.failed or outcome.interrupted:
        sentence += "; the same command again measures what is missing"
    return sentence
