"""`scaling predict`: the error of a model after so many samples, before it is trained."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli import options
from scaling.errors import ScalingError, unknown
from scaling.evals import error_word
from scaling.units import format_count, format_gflops, parse_count

if TYPE_CHECKING:
    import pandas as pd


def predict(
    family: Annotated[str, typer.Option(help="Family of the model.")],
    model: Annotated[str, typer.Option(help="Model, by its name.")],
    samples_seen: Annotated[
        str, typer.Option(metavar="COUNT", help="Samples it would see, e.g. 12.8B.")
    ],
    dataset_size: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT",
            help="Unique samples, to warn of repetition: 1.4B (default: as the measurements say).",
        ),
    ] = None,
    study: options.Study = None,
    dataset: options.DatasetName = None,
    schedule: options.ScheduleName = None,
    task: options.TaskName = None,
    metric: options.MetricName = None,
    max_compute: options.MaxCompute = None,
    surface: options.SurfaceLaw = None,
    refits: Annotated[
        int, typer.Option(min=100, help="Bootstrap refits behind each interval.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    calibrate: options.Calibrate = True,
    db: options.Database = options.RESULTS,
    as_json: options.Json = False,
) -> None:
    """Predict the error of one trial, with the interval that it will fall in.

    Two laws are asked: one of model size and samples seen, fitted to all cells, and one of
    compute, fitted to the frontier, which is the error of the best model of that compute.
    """
    from fitting import FitError, Options
    from fitting.predict import Target
    from fitting.predict import predict as predict_all
    from scaling.points import Selection, load_points

    samples, unique = _counts(samples_seen, dataset_size)
    selection = Selection(
        study=study,
        dataset=dataset,
        schedule=schedule,
        task=task,
        metric=metric,
        families=(family,),
    )
    points, thresholds = load_points(db, selection)
    unique = unique or _unique_samples(points)
    target = Target(_gflops_per_sample(points, family, model), samples, unique)
    limit = thresholds if max_compute is None else max_compute
    how = Options(max_compute=limit, refits=refits, seed=seed, calibrate=calibrate)
    wide = load_points(db, selection.whole_study)[0] if calibrate else points
    try:
        found = predict_all(points, target, how, calibrate_on=wide, surface=surface)
    except FitError as error:
        raise ScalingError(f"{db}: {error}") from error
    report = [{"model": model, **one.to_json()} for one in found]
    if as_json:
        import json

        typer.echo(json.dumps({"predictions": report}, indent=2, allow_nan=False))
    else:
        _show(report)


def _counts(samples_seen: str, dataset_size: str | None) -> tuple[int, int | None]:
    """Both counts; all that is wrong with them is one `ScalingError`."""
    problems, counts = [], []
    for option, text in (("--samples-seen", samples_seen), ("--dataset-size", dataset_size)):
        try:
            counts.append(None if text is None else parse_count(text))
        except ValueError as error:
            problems.append(f"{option}: {error}")
    if problems:
        raise ScalingError("\n  ".join(problems))
    samples, unique = counts
    assert samples is not None
    return samples, unique


def _unique_samples(points: "pd.DataFrame") -> int | None:
    """Of the training set that the measurements were made on, if it is one and known."""
    known = points[points["epochs"].notna()]
    if known.empty or points["dataset"].nunique() > 1:
        return None
    return round(float((known["samples_seen"] / known["epochs"].astype(float)).max()))


def _gflops_per_sample(points: "pd.DataFrame", family: str, model: str) -> float:
    """Of the model's measurements, or else of the family's profile, which need not be measured."""
    from scaling.families import FAMILIES

    rows = points[points["model"] == model]
    if len(rows):
        return float((rows["compute_gflops"] / rows["samples_seen"]).median())
    known = set(points["model"])
    if family in FAMILIES:
        its = FAMILIES.get(family)
        if model in its.models:
            return its.profile(model).published_gflops
        known |= set(its.models)
    raise ScalingError(unknown(f"model of {family}", model, known))


def _show(report: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table

    console = Console()
    first = report[0]
    console.print(
        f"[bold]{first['family']} {first['model']}[/bold] on {format_count(first['samples_seen'])}"
        f" samples: {format_gflops(first['compute_gflops'])} GFLOPs, "
        f"{first['gflops_per_sample']:.4g} a sample",
        highlight=False,
    )
    for warning in first["warnings"]:
        console.print(f"warning: {warning}", highlight=False)
    for entry in report:
        where = " · ".join(entry[key] for key in ("dataset", "schedule"))
        title = f"{entry['task']} {entry['metric']} · {where} · study {entry['study']}"
        console.print(f"\n[bold]{title}[/bold]", highlight=False)
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("by", error_word(entry["metric"]), "95 % of new trials"):
            table.add_column(name, no_wrap=True)
        for forecast in entry["forecasts"]:
            interval = f"{forecast['low']:.4f} to {forecast['high']:.4f}"
            table.add_row(forecast["basis"], f"{forecast['error']:.4f}", interval)
        console.print(Padding(table, (0, 0, 0, 2)))
        for line in _remarks(entry):
            console.print(f"  {line}", highlight=False)


def _remarks(entry: dict[str, Any]) -> list[str]:
    lines = []
    for one in entry["forecasts"]:
        lines.append(f"{one['basis']}: {'; '.join(one['notes'])}")
        calibration = one["calibration"]
        widened = "not calibrated" if calibration is None else calibration["words"]
        lines.append(f"{one['basis']}: interval {widened}")
    if (beyond := entry["extrapolation"]) is not None:
        lines.append(
            f"relative to the largest fitted: compute {beyond['compute']:.2g}x, samples seen "
            f"{beyond['samples_seen']:.2g}x, GFLOPs per sample {beyond['gflops_per_sample']:.2g}x"
        )
    if entry["off_frontier"] is not None:
        lines.append(
            f"the best model size for this compute would have {entry['off_frontier']:.4f} less "
            f"{error_word(entry['metric'])}, by the law of size and samples"
        )
    if entry["measured"] is not None:
        lines.append(f"measured: {entry['measured']:.4f}")
    return lines + [f"no {basis}: {why}" for basis, why in entry["failures"].items()]
