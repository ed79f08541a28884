import json
from pathlib import Path
from typing import Any

import pytest
import typer

from fitting.backtest_plot import figure_backtest
from scaling.cli import import_
from scaling.cli.backtest import backtest
from scaling.cli.backtest_tables import show
from scaling.errors import ScalingError

PUBLISHED = Path(__file__).parents[3] / "experiments" / "published"
SELECTED: dict[str, Any] = {
    "dataset": "datacomp_1b",
    "schedule": "cosine",
    "task": "imagenet1k",
    "family": ["clip", "mammut"],
    "law": ["saturating"],
}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "results.db"
    import_.import_(PUBLISHED, db=path)
    return path


def test_json_holds_scores_calibration_and_every_case(
    db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backtest(db=db, as_json=True, min_train=1e11, **SELECTED)

    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert {one["estimator"] for one in report["by_ratio"]} == {"saturating"}
    assert sum(one["n"] for one in report["by_ratio"]) == len(report["cases"])
    assert {one["status"] for one in report["calibration"]} == {"uncalibrated"}
    assert report["options"]["min_train"] == 1e11


def test_the_table_reads_on_80_columns(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backtest(db=db, thresholds=[2.5e11, 5e11], **SELECTED)

    shown = capsys.readouterr().out
    assert "Held-out error by series" in shown
    assert "2.50e+11" in shown
    assert "…" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_calibrated_coverage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    calibrated = {
        "estimator": "saturating",
        "ratio_above": 16.0,
        "ratio_up_to": None,
        "n": 40,
        "coverage_before": 0.8,
        "coverage_after": 0.95,
        "median_half_width_after": 0.061,
        "left_out": "series",
        "n_claimed": 30,
        "claimed_coverage_after": None,
    }
    factor = {"estimator": "saturating", "status": "calibrated", "factor": 1.5, "n": 90}
    show(
        {
            "by_ratio": [],
            "by_series": [],
            "choice": {"left_out": "task", "chosen": {"a": "saturating"}, "by_ratio": []},
            "calibration": [factor, {**factor, "factor": 1.75}],
            "calibrated_coverage": [calibrated],
            "untested": [],
            "options": {"level": 0.95, "origins": "rolling", "estimators": ["saturating"]},
        }
    )

    shown = capsys.readouterr().out
    assert [">16x", "saturating", "40", "0.80", "0.95", "-", "6.1"] in map(
        str.split, shown.split("\n")
    )
    assert "1.50 to 1.75" in shown
    assert "chosen, each task by the points of the others: saturating for a" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": ["saturatin"]}, "unknown law 'saturatin'"),
        ({"frontier": "spiral"}, "unknown frontier 'spiral'"),
        ({"thresholds": [1e99]}, "no threshold of 1e.99 GFLOPs has cells on both sides"),
        ({"min_train": -3.0}, "min_train is -3; give positive, finite GFLOPs"),
        ({"family": ["clap"]}, "did you mean"),
    ],
    ids=str,
)
def test_bad_input_is_one_clear_message(db: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ScalingError, match=message):
        backtest(db=db, **{**SELECTED, **options})


def test_a_missing_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScalingError, match=r"results\.db"):
        backtest(db=tmp_path / "results.db")


def test_the_command_has_a_help() -> None:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(backtest)

    with pytest.raises(SystemExit) as left:
        app(["--help"])

    assert left.value.code == 0


def test_the_figure_has_a_line_for_each_estimator(db: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "held_out.svg"

    backtest(db=db, output=wanted, **{**SELECTED, "law": ["saturating", "anchored"]})

    drawn = wanted.read_text()
    assert "<svg" in drawn
    with pytest.raises(ScalingError, match="must end in one of"):
        backtest(db=db, output=tmp_path / "held_out.doc", **SELECTED)


def test_lines_of_the_figure_are_the_scores(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backtest(db=db, as_json=True, **SELECTED)
    report = json.loads(capsys.readouterr().out)

    misses, _ = figure_backtest(report).axes

    (line,) = misses.get_lines()
    scores = sorted(report["by_ratio"], key=lambda one: one["ratio_above"])
    assert list(line.get_ydata()) == [100 * one["rmse"] for one in scores]
