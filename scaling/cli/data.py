"""`scaling data`: training sets as webdataset shards: made, checked, and written anew, smaller."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scaling.cli.options import Json

data = typer.Typer(no_args_is_help=True)


@data.command(short_help="Write shards of the embedded stream.")
def make(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder they go to.")],
    samples: Annotated[str, typer.Option(metavar="COUNT", help="How many samples, e.g. 64K.")],
    shard_size: Annotated[
        str, typer.Option(metavar="COUNT", help="Samples in a shard, e.g. 10K.")
    ] = "10K",
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Another seed is another set.")
    ] = 0,
    caption_noise: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="0: captions are true; at 1, 45 % of what they mention is not."
        ),
    ] = 0.0,
    image_size: Annotated[
        int, typer.Option(min=8, max=4096, help="Width and height of the pictures, in pixels.")
    ] = 16,
    form: Annotated[
        Literal["png", "webp", "jpg"],
        typer.Option("--format", help="png and webp are lossless, jpg has quality 95."),
    ] = "png",
    as_json: Json = False,
) -> None:
    """Write the embedded image-text stream as shards, in the layout of img2dataset, into OUT.

    They hold the samples that 'kind: shapes' with 'unique: COUNT' trains on. Shards that are
    there are kept: stopped, the same command goes on where it was.
    """
    from scaling.cli.progress import progress
    from scaling.datasets._shard_tools.make import ShapesShards
    from scaling.datasets.shapes import ShapesOptions

    counts = _counts(("--samples", samples), ("--shard-size", shard_size))
    made = ShapesShards(
        folder=out,
        samples=counts[0],
        shard_size=counts[1],
        image_size=image_size,
        format=form,
        options=ShapesOptions(caption_noise=caption_noise, seed=seed),
    )
    with progress("samples", made.samples) as advance:
        there = made.write(advance)
    grid = f'{{kind: webdataset, shards: "{made.pattern}", size: {made.samples}, crop: center}}'
    if as_json:
        _print_json(
            shards=made.pattern, samples=made.samples, tars=made.shards, samples_there=there
        )
    else:
        kept = f" ({there:,} of them were there)" if there else ""
        typer.echo(f"{made.samples:,} samples in {made.shards:,} shards{kept}; in a grid:")
        typer.echo(f"datasets:\n  shapes: {grid}")


Shards = Annotated[
    list[str],
    typer.Argument(metavar="SHARDS...", help="Paths, or brace patterns: 'data/{0000..0999}.tar'."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes (default: one for each CPU core).")
]


@data.command(short_help="Read every sample of shards.")
def check(
    shards: Shards,
    caption_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Captions are in this field of the json, not in txt."),
    ] = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Count the captions' tokens, as CLIP does.")
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Read every sample of SHARDS: what there is, and what cannot be trained on.

    Exit code 1: samples are broken or incomplete, or a shard is damaged; training would leave
    them out. Exit code 2: shards are missing, which training refuses. Keys that are there twice
    are said and are no fault.
    """
    import time

    from scaling.cli.data_tables import show_check
    from scaling.cli.progress import progress
    from scaling.datasets._cores import cores
    from scaling.datasets._shard_tools.check import Look, look_at
    from scaling.datasets._shard_tools.check_summary import summarize
    from scaling.datasets._shard_tools.processes import in_processes
    from scaling.datasets._webdataset.shards import expand

    paths = expand(shards)
    looks = [Look(path, caption_key, tokens) for path in paths if path.is_file()]
    missing = [path for path in paths if not path.is_file()]
    began = time.perf_counter()
    reports = {}
    with progress("shards", len(looks)) as advance:
        for report in in_processes(look_at, looks, workers or cores()):
            reports[report.shard] = report
            advance(1)
    ordered = [reports[look.shard] for look in looks]
    summary = summarize(ordered, missing, time.perf_counter() - began)
    if as_json:
        _print_json(**summary.to_json())
    else:
        show_check(summary)
    if missing:
        raise typer.Exit(2)
    if summary.faults:
        raise typer.Exit(1)


@data.command(short_help="Write shards with smaller pictures.")
def repack(
    shards: Shards,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the new shards go.")
    ],
    size: Annotated[
        int,
        typer.Option(
            min=16, max=8192, help="Shorter side of pictures that are larger, in pixels."
        ),
    ] = 256,
    form: Annotated[
        Literal["jpg", "webp"], typer.Option("--format", help="What they are written as.")
    ] = "jpg",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG or WebP.")] = 95,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Write SHARDS anew into a folder, under their names, with smaller pictures.

    Captions and all other files are kept as they are, and so are pictures that are small enough;
    samples that are broken are left out and counted. Shards that are there are kept: stopped, the
    same command goes on where it was.
    """
    from scaling.cli.data_tables import show_repack
    from scaling.cli.progress import progress
    from scaling.datasets._cores import cores
    from scaling.datasets._shard_tools.processes import in_processes
    from scaling.datasets._shard_tools.repack import plan_repacking
    from scaling.datasets._shard_tools.repack import repack as repack_shard
    from scaling.datasets._webdataset.shards import expand

    planned = plan_repacking(expand(shards), out, size=size, form=form, quality=quality)
    done = []
    with progress("shards", len(planned)) as advance:
        for repacked in in_processes(repack_shard, planned, workers or cores()):
            done.append(repacked)
            advance(1)
    done.sort(key=lambda repacked: repacked.shard)
    if as_json:
        _print_json(
            samples=sum(one.samples for one in done),
            shrunk=sum(one.shrunk for one in done),
            skipped=[
                {"shard": str(one.shard), "key": key, "reason": reason}
                for one in done
                for key, reason in one.skipped
            ],
            shards=len(done),
            shards_there=sum(one.was_there for one in done),
        )
    else:
        show_repack(done, out)


def _counts(*options: tuple[str, str]) -> list[int]:
    """The count that each option was given; all that is wrong with them is one `ScalingError`."""
    from scaling.errors import ScalingError
    from scaling.units import parse_count

    problems, counts = [], []
    for option, text in options:
        try:
            counts.append(parse_count(text))
        except ValueError as error:
            problems.append(f"{option}: {error}")
    if problems:
        raise ScalingError("\n  ".join(problems))
    return counts


def _print_json(**fields: object) -> None:
    import json

    typer.echo(json.dumps(fields, indent=2))
