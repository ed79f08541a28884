"""`scaling slurm`: a batch job that trains a grid on the nodes of a SLURM cluster."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.database import Database, ServerURL
    from scaling.plan import Plan


def slurm(  # one parameter an option
    grid: options.GridFile,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of the job.")],
    time: Annotated[
        str, typer.Option(metavar="LIMIT", help="The job's time limit: 06:00:00, 2-00, 90.")
    ],
    gpus_per_node: Annotated[int, typer.Option(min=0, help="GPUs of each node.")] = 0,
    cpus_per_node: Annotated[
        int | None, typer.Option(min=1, help="CPUs of each node (default: whole nodes).")
    ] = None,
    partition: Annotated[str | None, typer.Option(help="As of sbatch.")] = None,
    account: Annotated[str | None, typer.Option(help="As of sbatch.")] = None,
    qos: Annotated[str | None, typer.Option(help="As of sbatch.")] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION", help="A further line, as --sbatch=--mem=0; repeatable."),
    ] = None,
    setup: Annotated[
        list[str] | None,
        typer.Option(metavar="LINE", help="Shell before all else: 'module load x'; repeatable."),
    ] = None,
    run_option: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION", help="For scaling run, as --run-option=--retry."),
    ] = None,
    save_seconds: Annotated[
        int, typer.Option(min=30, help="So long before the limit trials save and stop.")
    ] = 180,
    restarts: Annotated[
        int, typer.Option(min=0, help="How often an unfinished job goes back into the queue.")
    ] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write (default: stdout).")
    ] = None,
    db: options.Database = options.RESULTS,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|URI",
            help="Where checkpoints go: a folder that every node sees, or an address as "
            "s3://bucket/study (default: beside the store).",
        ),
    ] = None,
) -> None:
    """Write a batch job that starts Ray on every node and trains GRID, for `sbatch`.

    Trials save before the time limit, and a job that has not finished goes back into the queue.
    """
    from scaling.database import default_checkpoints
    from scaling.grid import load_plan
    from scaling.orchestrator.slurm import Job, parse_time, script
    from scaling.storage import storage_at

    plan = load_plan(grid)
    _check_fits(plan, nodes * gpus_per_node)
    named = {"partition": partition, "account": account, "qos": qos}
    db = db.absolute() if isinstance(db, Path) else _without_password(db)
    job = Job(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", f"scaling-{plan.study}"),
        grid=grid.absolute(),
        db=db,
        checkpoints=str(storage_at(checkpoints or default_checkpoints(db))),
        bin_folder=Path(sys.executable).absolute().parent,
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        seconds=parse_time(time),
        cpus_per_node=cpus_per_node,
        directives=(
            *(f"--{key}={value}" for key, value in named.items() if value),
            *(sbatch or ()),
        ),
        setup=tuple(setup or ()),
        run_options=tuple(run_option or ()),
        seconds_to_save=save_seconds,
        most_restarts=restarts,
    )
    text = script(job)
    for warning in _warnings(job.db, job.checkpoints):
        typer.echo(f"warning: {warning}", err=True)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {output}; submit it with `sbatch {output}`", err=True)


def _check_fits(plan: "Plan", gpus: int) -> None:
    """Raise `ResourceError` if a trial asks for more GPUs than the job has."""
    from scaling.errors import ResourceError

    for planned in plan.trials:
        wanted = planned.resources.gpus
        if gpus and wanted > gpus:
            raise ResourceError(
                f"{planned.trial.id} asks for {wanted:g} GPUs; the job has {gpus} (--nodes times "
                "--gpus-per-node)"
            )


def _without_password(db: "ServerURL") -> "ServerURL":
    """`db` as it may stand in a script; raises `StoreError` if it holds a password."""
    from scaling.errors import StoreError

    if db.has_password:
        raise StoreError(
            f"--db {db}: the job's script would hold the password; leave it out, and put it into "
            "~/.pgpass, where PostgreSQL's clients look for it"
        )
    return db


def _warnings(db: "Database", checkpoints: str) -> list[str]:
    """What may go wrong with these places; each job may start on other nodes than the last one."""
    from scaling.orchestrator.filesystems import shared_type
    from scaling.storage import is_address

    found = []
    if not isinstance(db, Path):
        pass  # On a server, which each node has to reach.
    elif kind := shared_type(db.parent):
        found.append(
            f"{db} is on {kind}: it works if that file system has locks (Lustre: mounted with "
            "-o flock) and only the job writes it; while the job runs, ask for its status on the "
            "job's first node"
        )
    else:
        found.append(
            f"{db} seems to be on a disk of this machine alone; put it where each node sees it, "
            "as the next job may start on another one"
        )
    if not is_address(checkpoints) and not shared_type(Path(checkpoints).parent):
        found.append(
            f"{checkpoints} seems to be on a disk of this machine alone; every node needs it"
        )
    return found
