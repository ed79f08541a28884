"""A table of language models from somewhere else, through every command."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from scaling.cli.app import app, repeated
from scaling.errors import ScalingError

LAWS = {
    "transformer": {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
    "mamba": {"E": 1.80, "A": 400.0, "B": 2300.0, "alpha": 0.345, "beta": 0.37},
}
"""Of the first: the replication of Hoffmann et al., arXiv:2404.10102."""
MAP = (
    *("--map", "family=model_type,samples_seen=tokens", "params=N", "value=val loss"),
    *("--set", "dataset=c4", "schedule=cosine", "task=lm", "metric=loss"),
)
LM = ("--study", "lm")

Run = Callable[..., str]


def table() -> pd.DataFrame:
    """8 sizes x 10 lengths of each architecture, with 0.5 % noise."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(5e7, 5e9, 8).round(-6)
    lengths = np.geomspace(1e9, 3e11, 10).round(-7)
    rows = []
    for name, law in LAWS.items():
        for params in sizes:
            for tokens in lengths:
                loss = law["E"] + law["A"] / params ** law["alpha"]
                loss += law["B"] / tokens ** law["beta"]
                loss *= np.exp(0.005 * rng.standard_normal())
                rows.append((name, int(params), int(tokens), loss, 3e-4))
    return pd.DataFrame(rows, columns=["model_type", "N", "tokens", "val loss", "lr"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command of the program on a store that holds the table."""
    folder = tmp_path_factory.mktemp("lm")
    table().to_csv(folder / "lm.csv", index=False)
    table().to_parquet(folder / "lm.parquet")

    def answer(*words: str) -> str:
        words = tuple(word.replace("FOLDER", str(folder)) for word in words)
        done = CliRunner().invoke(app, repeated([*words, "--db", str(folder / "lm.db")]))
        if done.exception is not None:
            raise done.exception
        return done.stdout

    answer("import", "FOLDER/lm.csv", *MAP, "--save-map", "FOLDER/map.yaml")
    return answer


def test_parquet_by_the_saved_mapping_adds_nothing(run: Run) -> None:
    words = ("import", "FOLDER/lm.parquet", "--map-file", "FOLDER/map.yaml", "--json")
    summary = json.loads(run(*words))

    assert (summary["imported"], summary["already_there"]) == (0, 160)
    assert summary["compute"].startswith("2 x params")
    assert summary["notes"] == ["columns not used: lr"]


def test_the_law_of_size_and_tokens_is_recovered_within_its_intervals(run: Run) -> None:
    entries = json.loads(run("surface", *LM, "--refits", "400", "--json"))["surfaces"]

    assert {entry["family"] for entry in entries} == set(LAWS)
    for entry in entries:
        truth = LAWS[entry["family"]]
        assert (entry["law"], entry["size_unit"]) == ("chinchilla", "parameters")
        for name, value in truth.items():
            found = entry["parameters"][name]
            assert found["low"] <= value <= found["high"], (entry["family"], name)
        assert entry["parameters"]["alpha"]["value"] == pytest.approx(truth["alpha"], abs=0.03)
        assert entry["parameters"]["beta"]["value"] == pytest.approx(truth["beta"], abs=0.03)
        assert entry["parameters"]["E"]["value"] == pytest.approx(truth["E"], abs=0.08)
        exponent = truth["beta"] / (truth["alpha"] + truth["beta"])
        assert entry["optimal_size_exponent"]["value"] == pytest.approx(exponent, abs=0.03)


def test_held_out_cells_score_the_law(run: Run) -> None:
    words = ("surface", *LM, "--family", "mamba", "--max-compute", "3e11", "--refits", "100")
    (entry,) = json.loads(run(*words, "--json"))["surfaces"]

    assert entry["n_cells"] + entry["n_held_out"] == 80
    assert entry["held_out"]["rmse"] < 0.02


def test_the_unit_of_size_rescales_one_coefficient_and_nothing_else(run: Run) -> None:
    words = ("surface", *LM, "--family", "mamba", "--refits", "100", "--json", "--size")
    by_params, by_gflops = (
        json.loads(run(*words, size))["surfaces"][0] for size in ("params", "gflops")
    )

    here, there = (
        {name: one["value"] for name, one in entry["parameters"].items()}
        for entry in (by_params, by_gflops)
    )
    assert by_gflops["size_unit"] == "forward GFLOPs per sample"
    assert there.pop("A") == pytest.approx(here["A"] * 2e-9 ** here["alpha"], rel=1e-3)
    del here["A"]
    assert there == pytest.approx(here, rel=1e-3)


def test_the_tables_speak_of_loss(run: Run) -> None:
    surface = run("surface", *LM, "--refits", "100", "--loss", "log-huber:1e-2")
    fit = run("fit", *LM, "--compare", "transformer", "mamba", "--refits", "100")

    for words in ("E + A / N^alpha + B / D^beta; N in parameters", "log-huber:0.01", "best N ~ C"):
        assert words in " ".join(surface.split())
    assert "loss(C) = A (C+B)^-alpha + E (saturating)" in fit
    assert "predicted loss" in fit


def test_a_measured_model_is_a_target(run: Run) -> None:
    report = json.loads(run("fit", *LM, "--target", "5B@1T", "--refits", "100", "--json"))

    assert report["options"]["targets"] == [1e13]
    with pytest.raises(ScalingError, match="unknown model '6B'"):
        run("fit", *LM, "--target", "6B@1T")


def test_predictions_hold_the_truth_and_name_their_law(run: Run) -> None:
    words = ("predict", *LM, "--family", "transformer", "--model", "5B", "--samples-seen", "1T")
    (prediction,) = json.loads(run(*words, "--json"))["predictions"]

    law = LAWS["transformer"]
    truth = law["E"] + law["A"] / 5e9 ** law["alpha"] + law["B"] / 1e12 ** law["beta"]
    by_size = prediction["forecasts"][0]
    assert by_size["low"] < truth < by_size["high"]
    assert by_size["error"] == pytest.approx(truth, rel=0.01)
    assert by_size["notes"][0].startswith("chinchilla")
    other = json.loads(run(*words, "--surface", "saturating", "--json"))["predictions"][0]
    assert other["forecasts"][0]["notes"][0].startswith("saturating")


def test_allocations_are_in_parameters_and_near_the_truth(run: Run) -> None:
    words = ("allocate", *LM, "--family", "transformer", "--compute", "1e12", "--refits", "100")
    (series,) = json.loads(run(*words, "--json"))["series"]

    law = LAWS["transformer"]
    a, b, alpha, beta = (law[name] for name in ("A", "B", "alpha", "beta"))
    product = 1e12 * 1e9 / 2  # N D of 1e12 GFLOPs at 2 FLOPs per parameter and token
    best = (a * alpha / (b * beta)) ** (1 / (alpha + beta)) * product ** (beta / (alpha + beta))
    by_law = series["allocations"][0]["optima"][-1]
    assert by_law["method"] == "law of size and samples"
    assert by_law["params"] == pytest.approx(best, rel=0.25)
    assert by_law["params"] == pytest.approx(by_law["gflops_per_sample"] / 2e-9, rel=0.01)
    assert "params" in run(*words)


def test_backtest_and_plots_work(run: Run, tmp_path: Path) -> None:
    shown = run("backtest", *LM, "--law", "saturating", "anchored", "--family", "mamba")

    assert "0.01 of a loss" in " ".join(shown.split())
    assert "anchored law starts from" in " ".join(shown.split())
    run("plot", *LM, "--compare", "transformer", "mamba", "-o", str(tmp_path / "a.png"))
    run("plot", *LM, "--curves", "-o", str(tmp_path / "b.png"))
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "--compute", "lean"), "mamba, transformer are imported families, whose compute"),
        (("surface", "--loss", "hubber"), "unknown loss 'hubber'"),
        (("surface", "--max-compute", "1e8"), "no series can be fitted"),
    ],
)
def test_what_cannot_be_done_says_why(run: Run, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ScalingError, match=message):
        run(*words, *LM)
