"""`scaling eval`: measure tasks on checkpoints that are there, a study's own or anybody's."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scaling.cli import options


def eval_(
    task: Annotated[
        list[str],
        typer.Option(help="A task or suite (`scaling tasks`), or a task of the study's grid."),
    ],
    study: Annotated[
        str | None,
        typer.Option(
            help="Whose checkpoints (default: the only one's); with --checkpoint, where the "
            "numbers go (default: checkpoints)."
        ),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Only this family; of a --checkpoint, its family.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Only this model; of a --checkpoint, its model, as grids spell it."),
    ] = None,
    samples_seen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COUNT",
            help="Only at so many, as 12.8M; of a --checkpoint, how many it has seen.",
        ),
    ] = None,
    trial: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Only trials whose id is or begins so.")
    ] = None,
    every_checkpoint: Annotated[
        bool,
        typer.Option(
            "--every-checkpoint",
            help="Also checkpoints that no cell reads, as trunks' where cooldowns branch off.",
        ),
    ] = False,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE ...",
            help="Not a study's own, but these files: epoch_N.pt of open_clip or of the reference "
            "study, state dicts, safetensors.",
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Of a --checkpoint: a name for its training set.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Of a --checkpoint: its schedule (default: cosine).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of a --checkpoint: its seed (default: 0).")
    ] = None,
    samples_per_epoch: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT",
            help="Of several called epoch_N.pt: each has seen N times so many samples.",
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            metavar="R,G,B",
            help="Of a --checkpoint: how it was shown pictures; this and the next three are known "
            "for open_clip's own (default: as CLIP was).",
        ),
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="R,G,B", help="See --mean.")] = None,
    resize: Annotated[
        Literal["shortest", "squash", "longest"] | None,
        typer.Option(help="Which side is made as long as the network's pictures; or both."),
    ] = None,
    interpolation: Annotated[
        Literal["bicubic", "bilinear"] | None, typer.Option(help="How pictures are resized.")
    ] = None,
    evaluation_sets: Annotated[
        Path | None,
        typer.Option(
            help="The folder of evaluation sets (default: as the grid says, or the variable "
            "SCALING_EVALUATION_SETS)."
        ),
    ] = None,
    broken_images: Annotated[
        Literal["error", "skip"] | None,
        typer.Option(help="What becomes of pictures that do not decode (default: as the grid)."),
    ] = None,
    db: options.Database = options.RESULTS,
    checkpoints: options.Checkpoints = None,
    executor: Annotated[
        Literal["ray", "local"],
        typer.Option(help="'local' measures in this process, one checkpoint after the other."),
    ] = "ray",
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="Trials at once (default: one per GPU, else per CPU core)."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster: 'auto' or host:port (default: a local one)."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Measure tasks on checkpoints that are there; nothing is trained.

    A study's own, for instance with a task that its grid did not ask for:

      scaling eval --study mine --task imagenet1k --task mscoco_captions

    Anybody's, beside them, so that `scaling fit` sees both:

      scaling eval --task imagenet1k --study mine --checkpoint epoch_32.pt --family clip
    --model ViT-B-32 --dataset laion2b --samples-seen 34B

    What is measured already is not measured again, and never replaced. Stop it with Ctrl-C; the
    same command goes on. Exit code 1 says that some checkpoint is gone or could not be measured.
    """
    from scaling.cli import eval_requests as requests
    from scaling.cli.eval_files import Description, FilesRequest, Pictures

    its_own = {"--trial": trial, "--every-checkpoint": every_checkpoint}
    said_of_files = {
        "--dataset": dataset,
        "--schedule": schedule,
        "--seed": seed,
        "--samples-per-epoch": samples_per_epoch,
        "--mean": mean,
        "--std": std,
        "--resize": resize,
        "--interpolation": interpolation,
    }
    requests.refuse(its_own if checkpoint else said_of_files, has_files=bool(checkpoint))
    common = requests.Common(
        tasks=tuple(dict.fromkeys(task)),
        study=study,
        sets=evaluation_sets,
        broken=broken_images,
    )
    request: requests.Request
    if checkpoint:
        request = FilesRequest(
            common=common,
            files=tuple(checkpoint),
            description=Description(
                family=family,
                model=model,
                dataset=dataset,
                schedule=schedule or "cosine",
                seed=seed or 0,
                samples_seen=tuple(samples_seen or ()),
                samples_per_epoch=samples_per_epoch,
            ),
            pictures=Pictures(mean, std, resize, interpolation),
        )
    else:
        request = requests.OwnRequest(
            common=common,
            trial=trial,
            family=family,
            model=model,
            samples_seen=tuple(samples_seen or ()),
            every_checkpoint=every_checkpoint,
        )
    machine = requests.Machine(db, checkpoints, executor, slots, address)
    answer = requests.answer(request, machine)
    from scaling.cli.eval_tables import show

    show(answer, as_json=as_json)
    raise typer.Exit(answer.exit_code)
