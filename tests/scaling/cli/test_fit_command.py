import json
import subprocess
import sys
from pathlib import Path

import pytest

from scaling.cli.fit_targets import targets
from scaling.errors import ScalingError
from scaling.points import Selection

PUBLISHED = Path(__file__).parents[3] / "experiments" / "published"
SERIES = (
    *("--compare", "clip", "mammut", "--study", "published", "--dataset", "datacomp_1b"),
    *("--schedule", "cosine", "--task", "imagenet1k"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store holds the published measurements."""
    folder = tmp_path_factory.mktemp("published")
    done = scaling(folder, "import", str(PUBLISHED))
    assert done.returncode == 0, done.stderr
    return folder


def scaling(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaling", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def report_of(folder: Path, *words: str) -> dict[str, list[dict[str, object]]]:
    done = scaling(folder, "fit", *words, "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return report


def test_the_published_coefficients_come_out(folder: Path) -> None:
    """`experiments/published/README.md`; ties in the rounded table move E by up to 0.003."""
    report = report_of(folder, *SERIES, "--frontier", "published", "--max-compute", "1e12")

    found = {fit["family"]: fit["parameters"] for fit in report["fits"]}
    for family, a, ln_b, alpha, floor in (
        ("clip", 57.862083, 18.391321, 0.226604, 0.111169),
        ("mammut", 125.356572, 19.289384, 0.255670, 0.101112),
    ):
        assert found[family]["A"] == pytest.approx(a, rel=0.03)  # type: ignore[index]
        assert found[family]["lnB"] == pytest.approx(ln_b, abs=0.05)  # type: ignore[index]
        assert found[family]["alpha"] == pytest.approx(alpha, abs=0.0015)  # type: ignore[index]
        assert found[family]["E"] == pytest.approx(floor, abs=0.003)  # type: ignore[index]
    (comparison,) = report["comparisons"]
    assert comparison["crossing_gflops"] == pytest.approx(7e10, rel=0.1)


def test_the_json_has_the_shape_that_other_programs_rely_on(folder: Path) -> None:
    report = report_of(folder, *SERIES, "--max-compute", "2.5e11", "--refits", "100")

    for fit in report["fits"]:
        assert {
            *("study", "dataset", "schedule", "task", "metric", "family", "law", "parameters"),
            *("n_points", "n_held_out", "rmse", "held_out", "predictions"),
        } <= fit.keys()
        assert {"A", "lnB", "alpha", "E"} <= fit["parameters"].keys()  # type: ignore[attr-defined]
        assert {"rmse", "mae", "bias"} <= fit["held_out"].keys()  # type: ignore[attr-defined]
        for at in fit["predictions"]:  # type: ignore[attr-defined]
            assert {"compute_gflops", "error", "low", "high"} <= at.keys()
    (comparison,) = report["comparisons"]
    assert {
        *("study", "dataset", "schedule", "task", "metric", "a", "b", "crossing_gflops"),
        *("crossing_low", "crossing_high", "better_at", "verdict"),
    } <= comparison.keys()
    for at in comparison["better_at"]:  # type: ignore[attr-defined]
        assert {
            *("compute_gflops", "probability_b_better", "difference", "low", "high"),
        } <= at.keys()


def test_a_selection_is_calibrated_on_the_whole_study(folder: Path) -> None:
    report = report_of(folder, *SERIES, "--max-compute", "1e12", "--refits", "100")
    plain = report_of(folder, *SERIES, "--refits", "100", "--no-calibrate")

    for fit in report["fits"]:
        found = fit["calibration"]
        assert found["status"] == "calibrated"  # type: ignore[index]
        assert found["n"] > 100  # type: ignore[index]
        assert found["n_series"] > 5  # type: ignore[index]
    assert [fit["calibration"] for fit in plain["fits"]] == [None, None]


def test_the_terminal_tells_the_law_from_a_new_run_within_80_columns(folder: Path) -> None:
    shown = scaling(folder, "fit", *SERIES, "--max-compute", "1e12", "--refits", "100").stdout

    assert shown.count("    a new run  ") == 2
    assert "held-out predictions" in " ".join(shown.split())
    assert max(len(line) for line in shown.splitlines()) <= 80


@pytest.mark.parametrize("law", ["auto", "auto:backtest"])
def test_a_choice_of_law_is_shown_with_what_it_rests_on(folder: Path, law: str) -> None:
    words = (*SERIES, "--law", law, "--max-compute", "2.5e11", "--refits", "100", "--no-calibrate")

    done = scaling(folder, "fit", *words)

    shown = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in shown) <= 80
    assert ("backtest (n)" in done.stdout) == (law == "auto:backtest")
    assert "held-out (n)" in done.stdout
    assert sum(line.rstrip().endswith("  chosen") for line in shown) == 2
    assert "no interval counts the choice" in " ".join(done.stdout.split())


def test_the_json_says_where_its_numbers_come_from(folder: Path, tmp_path: Path) -> None:
    latex = tmp_path / "fits.tex"
    report = report_of(folder, *SERIES, "--refits", "100", "--no-calibrate", "--latex", str(latex))

    assert report["db"] == "results.db"
    assert set(report["versions"]) == {"scaling", "python", "numpy", "scipy", "pandas"}
    assert "created" in report
    for fit in report["fits"]:
        assert len(str(fit["data_sha256"])) == 64
        assert str(fit["data_sha256"]) in latex.read_text()


def test_charging_mammut_only_what_it_needs_moves_the_crossing_down(folder: Path) -> None:
    how = ("--frontier", "published", "--max-compute", "1e12", "--refits", "100")

    crossings = {
        compute: report_of(folder, *SERIES, *how, "--compute", compute)["comparisons"][0]
        for compute in ("published", "lean")
    }

    assert crossings["lean"]["crossing_gflops"] < crossings["published"]["crossing_gflops"]  # type: ignore[operator]


def test_the_comparison_says_how_the_crossing_moves_with_the_counting(folder: Path) -> None:
    report = report_of(folder, *SERIES, "--max-compute", "1e12", "--refits", "100")
    lean = report_of(folder, *SERIES, "--max-compute", "1e12", "--compute", "lean")

    (comparison,) = report["comparisons"]
    moved = comparison["crossing_by_compute"]
    assert moved["published"] == comparison["crossing_gflops"]  # type: ignore[index]
    assert moved["lean"] == lean["comparisons"][0]["crossing_gflops"]  # type: ignore[index]
    assert moved["lean"] < moved["full"] < moved["published"]  # type: ignore[index]


def test_all_tasks_stand_in_one_table_and_sensitivity_is_shown(folder: Path) -> None:
    everything = ("--compare", "clip", "mammut", "--schedule", "cosine", "--refits", "100")

    done = scaling(folder, "fit", *everything, "--dataset", "datacomp_1b", "--sensitivity")

    assert done.returncode == 0, done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    _, _, summary = done.stdout.partition("All comparisons")
    for task in ("imagenet1k", "mscoco_captions", "datacomp_classification"):
        assert task in summary
    for words in ("slope d ln error / d ln C", "counting of GFLOPs", "one other", "bin edges"):
        assert words in done.stdout


def test_cooldowns_agree_with_cosine_on_the_cells_that_both_have(folder: Path) -> None:
    report = report_of(
        folder,
        *("--by", "schedule", "--compare", "cosine", "const-cooldown"),
        *("--dataset", "datacomp_1b", "--task", "imagenet1k", "--max-compute", "1e12"),
    )

    clip = next(c for c in report["comparisons"] if c["family"] == "clip")
    at_largest = clip["better_at"][0]  # type: ignore[index]
    assert clip["schedule"] is None
    assert at_largest["low"] < 0 < at_largest["high"]
    assert abs(at_largest["difference"]) < 0.01
    cells = {fit["schedule"]: fit["n_cells"] for fit in report["fits"] if fit["family"] == "clip"}
    assert cells["cosine"] == cells["const-cooldown"]


def test_datasets_are_compared_within_each_family(folder: Path) -> None:
    report = report_of(
        folder,
        *("--by", "dataset", "--compare", "relaion2b-en", "datacomp_1b", "--task", "imagenet1k"),
        *("--schedule", "cosine", "--refits", "100"),
    )

    assert {c["family"] for c in report["comparisons"]} == {"clip", "mammut"}
    assert {(c["a"], c["b"]) for c in report["comparisons"]} == {("relaion2b-en", "datacomp_1b")}
    assert {fit["dataset"] for fit in report["fits"]} == {"relaion2b-en", "datacomp_1b"}


def test_tables_are_written_beside_the_answer(folder: Path, tmp_path: Path) -> None:
    csv, latex = tmp_path / "fits.csv", tmp_path / "fits.tex"

    done = scaling(
        folder, "fit", *SERIES, "--refits", "100", "--csv", str(csv), "--latex", str(latex)
    )

    assert done.returncode == 0
    assert csv.read_text().startswith("study,dataset,schedule,task,metric,family,law,")
    assert r"\toprule" in latex.read_text()


def test_a_model_as_target_costs_what_each_family_makes_of_it(folder: Path) -> None:
    selection = Selection(families=("clip", "mammut"))

    found = targets(["ViT-L-14@1B", "1e12"], folder / "results.db", selection)

    assert found == pytest.approx((168.61e9, 202.56e9, 1e12), rel=1e-4)


@pytest.mark.parametrize("wrong", ["much", "ViT-L-99@1B", "ViT-L-14@soon"])
def test_a_target_that_is_none_is_named(folder: Path, wrong: str) -> None:
    with pytest.raises(ScalingError, match=f"--target {wrong}"):
        targets([wrong], folder / "results.db", Selection(families=("clip",)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--compare", "clip", "mamut"), "did you mean 'mammut'"),
        (("--compare", "clip", "mammut", "--task", "imagenet"), "did you mean 'imagenet1k'"),
        (("--compare", "clip", "mammut", "--study", "publisht"), "did you mean 'published'"),
        (("--by", "schedule", "--compare", "cosine", "const-cooldwn"), "'const-cooldown'"),
        (("--by", "model", "--compare", "a", "b"), "'model' is not one of"),
        (("--task", "winoground"), "GFLOPs per sample are known"),
        (("--frontier", "best"), "unknown frontier 'best'"),
        (("--law", "best"), "unknown law 'best'"),
        (("--max-compute", "1e3", "--compare", "clip", "mammut"), "at or below 1e+03 GFLOPs"),
    ],
)
def test_bad_questions_are_answered_in_one_message(
    folder: Path, words: tuple[str, ...], message: str
) -> None:
    done = scaling(folder, "fit", *words)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_curves_of_what_has_no_known_compute_are_answered_in_one_message(folder: Path) -> None:
    done = scaling(folder, "plot", "--curves", "--task", "winoground", "-o", "curves.png")

    assert done.returncode == 2
    assert "GFLOPs per sample are known" in done.stderr
    assert not (folder / "curves.png").exists()


def test_the_model_frontier_moves_every_cell_that_may_be_fitted(folder: Path) -> None:
    how = ("--frontier", "model", "--max-compute", "1e10", "--refits", "100")

    report = report_of(folder, *SERIES, *how)

    assert report["options"]["resample"] == "grid"  # type: ignore[call-overload]
    assert len(report["fits"]) == 2
    for fit in report["fits"]:
        assert sum(fit["left_out"].values()) + fit["n_points"] == fit["n_cells"]  # type: ignore
        assert fit["n_points"] > 80  # type: ignore[operator]
        assert fit["held_out"]["rmse"] < 0.04  # type: ignore[index]
        assert "the surface" in fit["interval"]["method"]  # type: ignore[index]
