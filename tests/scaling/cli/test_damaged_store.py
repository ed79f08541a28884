"""`scaling fit` on a store that somebody else wrote into, or that holds too little."""

import csv
import shutil
import sqlite3
from pathlib import Path

import pytest

from scaling.cli.app import main

PUBLISHED = Path(__file__).parents[3] / "experiments" / "published"
FIT = ("fit", "--compare", "clip", "mammut", "--refits", "100")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one published series of each of two families."""
    folder = tmp_path_factory.mktemp("series")
    with (PUBLISHED / "measurements.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["dataset"], row["schedule"], row["task"])
            == ("datacomp_1b", "cosine", "imagenet1k")
            and row["family"] in ("clip", "mammut")
        ]
    with (folder / "measurements.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    shutil.copy(PUBLISHED / "model_profile.csv", folder)
    store = folder / "whole.db"
    with pytest.raises(SystemExit):
        main(["import", str(folder), "--db", str(store)])
    return store


def fit_after(whole: Path, folder: Path, statement: str) -> int:
    """The exit code of `scaling fit` on a copy of the store after an SQL statement."""
    store = folder / "results.db"
    shutil.copy(whole, store)
    with sqlite3.connect(store) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(SystemExit) as ended:
        main([*FIT, "--db", str(store)])
    return int(ended.value.code or 0)


OF_CLIP_B_32 = "where family = 'clip' and model = 'ViT-B-32'"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("update measurement set value = 'abc' where id = 3", "acc1: value is 'abc', not a num"),
        ("update measurement set value = x'00ff' where id = 3", "value is b'"),
        (
            f"update trial set gflops_per_sample_published = 'abc' {OF_CLIP_B_32}",
            "gflops_per_sample is 'abc', not a number\n  and 5 more",
        ),
        ("update study set held_out_above_gflops = 'abc'", "held_out_above_gflops is 'abc'"),
        ("update study set held_out_above_gflops = -1", "give positive GFLOPs"),
        ("update study set held_out_above_gflops = 1", "0 cells at or below 1 GFLOPs"),
        ("update measurement set value = 0.001", "they are at chance"),
        ("update measurement set value = 1", "within 1 % of one another"),
        ("update trial set gflops_per_sample_published = null", "GFLOPs per sample are known"),
        (
            "update trial set gflops_per_sample_published = null where family = 'clip'",
            "the published GFLOPs per sample of clip are not known",
        ),
        ("delete from measurement", "holds no measurements yet"),
        ("delete from measurement where id > 3", "unknown family 'mammut' (known: clip)"),
    ],
)
def test_a_store_that_cannot_be_fitted_says_why(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str, message: str
) -> None:
    assert fit_after(whole, tmp_path, statement) == 2

    said = capsys.readouterr()
    assert message in said.err
    assert not said.out


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("update measurement set value = 9e999 where id = 3", "1 of 142 cells have no finite"),
        ("update measurement set value = -0.5 where id = 3", "errors from 0.216 to 1.5"),
        ("update measurement set value = 45 where id = 3", "give fractions, not percent"),
        (
            f"update trial set gflops_per_sample_published = -1 {OF_CLIP_B_32}",
            "10 of 142 cells have no positive, finite compute",
        ),
        (
            f"update trial set gflops_per_sample_published = 1e290 {OF_CLIP_B_32}",
            "GFLOPs are no study's",
        ),
    ],
)
def test_one_series_that_cannot_be_fitted_leaves_the_other(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str, message: str
) -> None:
    assert fit_after(whole, tmp_path, statement) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "Not fitted" in said
    assert message in said
    assert "mammut 105.6" in said
    assert "overtakes" not in said
