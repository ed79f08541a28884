"""`scaling models`: the sizes of each family, their parameters and forward cost."""

from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from scaling.cli.options import Json
from scaling.errors import ScalingError, unknown


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Only these; open_clip:NAME, timm:NAME and a JSON file are possible, too.",
        ),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option("--family", metavar="F ...", help="Only these families."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List models with their parameters and forward GFLOPs per sample, in three countings.

    A sample is one image and one caption of full length. published: as the reference study
    counts; lean: what a correct implementation must compute; full: lean and attention's score
    products. docs/families.md says more.
    """
    rows = profiles(family or (), names or ())
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=2))
    else:
        show(rows)


def profiles(families: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """The profiles as plain data: of every size of `families`, or of `names` alone.

    Without `families` it is those that have them. Raises `ScalingError` for an unknown name.
    """
    from scaling.families import FAMILIES

    rows: list[dict[str, Any]] = []
    for name in families or FAMILIES.names():
        family = FAMILIES.get(name)
        wanted = names or family.models
        rows += [_row(name, model) for model in wanted if families or model in family.models]
    for model in set(names) - {row["model"] for row in rows}:
        _raise_unknown(model)
    return rows


def _row(family: str, model: str) -> dict[str, Any]:
    from scaling.families import FAMILIES, find_model

    config, profile = find_model(family, model), FAMILIES.get(family).profile(model)
    return {
        "family": family,
        "model": model,
        "image_size": config.image_size,
        "params_million": profile.params / 1e6,
        "image_params_million": profile.image_params / 1e6,
        "text_params_million": profile.text_params / 1e6,
        "forward_gflops_per_sample": profile.published_gflops,
        "lean_gflops_per_sample": profile.lean_gflops,
        "full_gflops_per_sample": profile.full_gflops,
    }


def _raise_unknown(model: str) -> NoReturn:
    """No family has `model`: say what is wrong with its spelling, or what is known."""
    from scaling.families import FAMILIES, find_model
    from scaling.families._open_clip import configuration

    if configuration(model) is not None:
        find_model("clip", model)
    known = {size for name in FAMILIES.names() for size in FAMILIES.get(name).models}
    raise ScalingError(unknown("model", model, known))


def show(rows: list[dict[str, Any]]) -> None:
    """Print the profiles as a table."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False)
    columns = ("params", "image", "text", "published", "lean", "full")
    for heading in ("family", "model", *columns):
        table.add_column(heading, justify="right" if heading in columns else "left", no_wrap=True)
    previous = None
    for row in rows:
        if previous not in (None, row["family"]):
            table.add_section()
        previous = row["family"]
        numbers = [value for key, value in row.items() if key.endswith(("million", "sample"))]
        table.add_row(row["family"], row["model"], *map(_short, numbers))
    console.print(table)
    console.print(
        "\nparams, image, text: millions of parameters, whole and of each tower\n"
        "published, lean, full: forward GFLOPs of one image and caption, three countings",
        highlight=False,
    )


def _short(number: float) -> str:
    return f"{number:.2f}" if number >= 0.1 else f"{number:.2g}"
