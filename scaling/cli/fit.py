"""`scaling fit`: laws, held-out error, crossing and verdict, from the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scaling.cli import options
from scaling.contestants import By, as_families, restored
from scaling.errors import ScalingError

if TYPE_CHECKING:
    import pandas as pd

    from fitting import Analysis
    from scaling.database import Database
    from scaling.points import Selection

Compute = Literal["published", "lean", "full"]
DEFAULT = "default"


def fit(
    compare: options.Compare = None,
    by: options.CompareBy = "family",
    study: options.Study = None,
    dataset: options.DatasetName = None,
    schedule: options.ScheduleName = None,
    task: options.TaskName = None,
    metric: options.MetricName = None,
    frontier: options.Frontier = "bins",
    law: Annotated[
        str,
        typer.Option(
            help="anchored, saturating, no-floor, no-offset, power, line; auto chooses by AICc, "
            "auto:backtest by rolling origins at or below --max-compute, and all are shown. "
            "Default: anchored, or saturating for --frontier published."
        ),
    ] = DEFAULT,
    weights: Annotated[str, typer.Option(help="equal, or power:KAPPA.")] = DEFAULT,
    loss: Annotated[
        str, typer.Option(help="squares, log, huber[:DELTA] or log-huber[:DELTA].")
    ] = "squares",
    prior: Annotated[str, typer.Option(help="none or weak; the same for everyone.")] = DEFAULT,
    interval: Annotated[
        str, typer.Option(help="t, profile or bootstrap (default: t; for model, bootstrap).")
    ] = DEFAULT,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Also vary bins, ties, weights and E (--json).")
    ] = False,
    compute: Annotated[
        Compute,
        typer.Option(
            help="How forward GFLOPs are counted: as published; lean, what a correct "
            "implementation must compute; or full, lean with attention scores."
        ),
    ] = "published",
    max_compute: options.MaxCompute = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AT ...",
            help="Where to predict and compare: total GFLOPs, or MODEL@SAMPLES such as "
            "ViT-L-14@12.8B (what it costs in each family).",
        ),
    ] = None,
    refits: Annotated[
        int, typer.Option(min=100, help="Bootstrap refits behind each interval.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    calibrate: options.Calibrate = True,
    db: options.Database = options.RESULTS,
    csv: Annotated[Path | None, typer.Option(help="Also write a CSV table here.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write a LaTeX table here.")] = None,
    as_json: options.Json = False,
) -> None:
    """Fit a law to the frontier of each family, check it on held-out compute, and compare.

    Error is 1 - accuracy, or a loss as it is. Compute is forward GFLOPs per sample x samples
    seen. Without --study, --dataset, --schedule or --task, everything in the store is fitted,
    each series by itself.
    """
    from scaling.cli.fit_targets import targets
    from scaling.points import Selection, load_points
    from scaling.sweeps import diverged, diverged_in_words, in_words, taken

    contestants = tuple(compare) if compare else None
    check_contestants(contestants)
    families = contestants if by == "family" else None
    selection = Selection(
        study=study,
        dataset=dataset,
        schedule=schedule,
        task=task,
        metric=metric,
        families=families,
        compute=compute,
    )
    loaded = load_points(db, selection)
    analysis = analyse(
        db,
        selection,
        by,
        contestants,
        loaded,
        frontier=frontier,
        law=law,
        weights=weights,
        loss=loss,
        prior=prior,
        interval=interval,
        sensitivity=sensitivity,
        max_compute=max_compute,
        targets=targets(target or [], db, selection),
        refits=refits,
        seed=seed,
        calibrate=calibrate,
    )
    report = analysis.to_json()
    if families is not None:
        from scaling.conventions import crossings_by_compute

        moved = crossings_by_compute(db, selection, analysis.options, report["comparisons"])
        for entry, crossings in zip(report["comparisons"], moved, strict=True):
            entry["crossing_by_compute"] = crossings
    sweeps, lost = taken(loaded[0]), diverged(db, study)
    if not as_json:
        from scaling.cli.fit_tables import show

        show(report)
        for words in filter(None, (in_words(sweeps), diverged_in_words(lost))):
            typer.echo(words)
    report = {**restored(report, by), "compute": compute, "by": by, "sweeps": sweeps}
    report["diverged"] = lost
    report |= _provenance(report, db)
    _write_tables(report, csv, latex)
    if as_json:
        import json

        typer.echo(json.dumps(report, indent=2, allow_nan=False))


def check_contestants(names: tuple[str, ...] | None) -> None:
    """Raise `ScalingError` if these cannot be compared."""
    if names is not None and len(names) < 2:
        raise ScalingError("--compare takes two or more names, e.g. --compare clip mammut")


def analyse(
    db: "Database",
    selection: "Selection",
    by: By = "family",
    contestants: tuple[str, ...] | None = None,
    loaded: "tuple[pd.DataFrame, dict[str, float]] | None" = None,
    **how: Any,
) -> "Analysis":
    """Load, fit and compare; `how` are fields of `fitting.Options`.

    `loaded` is what `load_points` has of the selection, where that was asked already.

    The held-out threshold is the one that each study's grid gave, unless `how` has one. Intervals
    of new runs are calibrated on the whole study, because a selection leaves few other series.
    What cannot be fitted is a `ScalingError`.
    """
    from fitting import FitError, Options
    from fitting import analyse as fit_all
    from scaling.points import load_points

    check_contestants(contestants)
    points, thresholds = loaded or load_points(db, selection)
    if how.get("max_compute") is None:
        how["max_compute"] = thresholds
    try:
        chosen = Options(**how)
        is_wide = not chosen.calibrate or selection.whole_study == selection
        wide = points if is_wide else load_points(db, selection.whole_study)[0]
        return fit_all(
            as_families(points, by, contestants),
            chosen,
            compare=contestants,
            calibrate_on=as_families(wide, by, None),
        )
    except FitError as error:
        raise ScalingError(str(error)) from error


def _provenance(report: dict[str, Any], db: "Database") -> dict[str, Any]:
    """Which store the numbers are from, when they were made and by which versions."""
    from datetime import UTC, datetime
    from importlib.metadata import version

    return {
        "db": str(db),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"scaling": version("scaling"), **report["versions"]},
    }


def _write_tables(report: Any, csv: Path | None, latex: Path | None) -> None:
    from fitting.tables import to_csv, to_latex

    for path, render in ((csv, to_csv), (latex, to_latex)):
        if path is None:
            continue
        try:
            path.write_text(render(report), encoding="utf-8")
        except OSError as error:
            raise ScalingError(f"{path} cannot be written: {error.strerror}") from error
        typer.echo(f"wrote {path}", err=True)
