"""`scaling trial`: what a trial is, and training it in this process."""

import json
from pathlib import Path

import pytest

from scaling.cli.app import main

GRID = """
study: one
families: [clip]
models: [tiny-a]
samples_seen: [640]
datasets: {shapes: {kind: shapes}}
schedules: [const-cooldown]
recipes: [{batch_size: 64, learning_rate: 1e-3, warmup: 64 samples}]
evaluate: [shapes_classification]
"""


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("grid.yaml").write_text(GRID)
    return "grid.yaml"


def test_a_trial_is_shown_by_the_beginning_of_its_id(
    grid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["trial", grid, "clip-tiny-a-cool"])
    said = json.loads(capsys.readouterr().out)
    assert said["branches_off"]["at"] == 512
    assert [stop["samples_seen"] for stop in said["stops"]] == [640]

    with pytest.raises(SystemExit, match="2"):
        main(["trial", grid, "clip-tiny-b"])
    assert "nearest: clip-tiny-a" in capsys.readouterr().err


def test_a_trunk_is_trained_here_and_nothing_is_recorded(
    grid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["trial", grid, "clip-tiny-a-trunk", "--local", "-o", "debug"])
    said = capsys.readouterr().out
    assert "loss" in said
    assert "512  saved" in said
    assert not Path("results.db").exists()


def test_a_cooldown_without_its_trunk_says_what_is_missing(
    grid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["trial", grid, "clip-tiny-a-cool", "--local"])
    assert "there is no store at results.db" in capsys.readouterr().err
