"""The program: its commands, and what becomes of an error."""

import datetime
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from scaling.cli import (
    allocate,
    backtest,
    checkpoints,
    data,
    doctor,
    eval_,
    export,
    figures,
    fit,
    import_,
    logs,
    ls,
    models,
    plan,
    plot,
    predict,
    retry,
    rm,
    run,
    show,
    slurm,
    sql,
    status,
    surface,
    tasks,
    trial,
)
from scaling.database import without_passwords
from scaling.errors import ScalingError

app = typer.Typer(
    help="Train a grid of models, fit scaling laws, and say which candidate wins at which "
    "compute.\n\n"
    "Three commands make a study: 'scaling run GRID' trains and measures every cell of a grid "
    "into results.db, 'scaling fit --compare A B' fits a law to each family and compares them, "
    "'scaling plot --compare A B' draws it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("plan", short_help="Show what a grid trains and costs.")(plan.plan)
app.command("models", short_help="List models, their size and cost.")(models.models)
app.command("tasks", short_help="List what can be measured.")(tasks.tasks)
app.command("run", short_help="Train and measure a grid.")(run.run)
app.command("trial", short_help="Show one trial, or train it here to debug it.")(trial.trial)
app.command("slurm", short_help="Write a batch job for SLURM.")(slurm.slurm)
app.command("eval", short_help="Measure checkpoints that are there.")(eval_.eval_)
app.command("status", short_help="Show how far a run is.")(status.status)
app.command("logs", short_help="Print a trial's log.")(logs.logs)
app.command("retry", short_help="Try again what failed.")(retry.retry)
app.command("import", short_help="Bring published results in.")(import_.import_)
app.command("export", short_help="Write measurements for pandas, R or a paper.")(export.export)
app.command("ls", short_help="List studies, trials or measurements.")(ls.ls)
app.command("show", short_help="Show everything about a trial.")(show.show)
app.command("doctor", short_help="Check store, files and machine.")(doctor.doctor)
app.command("rm", short_help="Remove a study.")(rm.rm)
app.command("sql", short_help="Ask the store with one SELECT.")(sql.sql)
app.command("fit", short_help="Fit laws and compare families.")(fit.fit)
app.command("surface", short_help="Fit laws of size and samples.")(surface.surface)
app.command("predict", short_help="Predict the error of a model.")(predict.predict)
app.command("allocate", short_help="Divide a compute between size and samples.")(allocate.allocate)
app.command("backtest", short_help="Check laws and intervals on held-out compute.")(
    backtest.backtest
)
app.add_typer(data.data, name="data", short_help="Make, check and shrink shards.")
app.command("figures", short_help="Draw a study's figures by recipe.")(figures.figures)
app.command("plot", short_help="Draw error against compute.")(plot.plot)
app.add_typer(
    checkpoints.app, name="checkpoints", short_help="List weights, and write them for open_clip."
)

VARIADIC = (
    "--compare",
    "--checkpoint",
    "--target",
    "--compute",
    "--law",
    "--family",
    "--thresholds",
    "--map",
    "--set",
    "--metric-columns",
    "--pattern",
    "--percent",
)
"""Options that take all words up to the next option, as in `--compare clip mammut`."""


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"scaling {version('scaling')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; the user's mistakes are one message and exit code 2."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        app(args=repeated(words))
    except ScalingError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the last resort: keep it, show where
        log = _keep(error, words)
        typer.echo(
            f"internal error: {type(error).__name__}: {error}\n"
            f"This is a fault of scaling, not yours. The details are in {log}",
            err=True,
        )
        sys.exit(1)


def repeated(words: Sequence[str]) -> list[str]:
    """`--compare a b` as `--compare a --compare b`, which is what the parser knows."""
    parsed: list[str] = []
    option = ""
    for position, word in enumerate(words):
        if word.startswith("-"):
            option = word if word in VARIADIC else ""
            following = words[position + 1 : position + 2]
            if not option or not following or following[0].startswith("-"):
                parsed.append(word)
        else:
            parsed += [option, word] if option else [word]
    return parsed


def _keep(error: Exception, words: Sequence[str]) -> Path:
    """Write the traceback of `error` to a file of its own."""
    now = datetime.datetime.now(datetime.UTC)
    state = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state"))
    name = f"{now:%Y%m%d-%H%M%S}-{os.getpid()}.log"
    text = f"{now.isoformat()}\nscaling {without_passwords(' '.join(words))}\n" + "".join(
        traceback.format_exception(error)
    )
    for folder in (state / "scaling", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return folder / name
    return Path(os.devnull)
