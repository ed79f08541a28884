"""The commands on a run whose checkpoints are at an address."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scaling.cli.app import main

GRID = """
study: small
families: [clip]
models: [tiny-a]
samples_seen: [256]
datasets: {shapes: {kind: shapes}}
schedules: [const-cooldown]
recipes: [{batch_size: 32, learning_rate: 4e-3, warmup: 64 samples, precision: fp32}]
evaluate: [shapes_retrieval]
"""

Command = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `here.db`, checkpoints beside it, and `there.db`, checkpoints elsewhere."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "grid.yaml").write_text(GRID)
    run = ["run", "grid.yaml", "--executor", "local"]
    place = ["--checkpoints", f"file://{folder}/bucket", "--scratch", "scratch"]
    for words in (["--db", "here.db"], ["--db", "there.db", *place]):
        command = [sys.executable, "-m", "scaling", *run, *words]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def scaling(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command there; gives what it says, on stderr if it fails as expected."""
    monkeypatch.chdir(trained)

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main([*map(str, words)])
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    return run


def rows(scaling: Command, db: str) -> list[tuple[str, int, str]]:
    found = json.loads(scaling("checkpoints", "ls", "--json", "--db", db))
    assert all(row["present"] for row in found)
    return [(row["trial"], row["samples_seen"], row["sha256"]) for row in found]


def test_weights_are_the_same_bits(scaling: Command, trained: Path) -> None:
    assert rows(scaling, "there.db") == rows(scaling, "here.db") != []
    assert not (trained / "there.checkpoints").exists()
    assert list((trained / "scratch").glob("*/*")) == []


def test_weights_are_exported(scaling: Command, tmp_path: Path) -> None:
    for db in ("here.db", "there.db"):
        scaling("checkpoints", "export", "clip-tiny-a-trunk", "-o", tmp_path / db, "--db", db)

    here, there = (tmp_path / db / "epoch_1.pt" for db in ("here.db", "there.db"))
    assert here.read_bytes() == there.read_bytes()


def test_a_cooldown_is_trained_from_a_trunk_at_an_address(
    scaling: Command, tmp_path: Path
) -> None:
    (cooldown,) = (trial for trial, _, _ in rows(scaling, "here.db") if "cooldown" in trial)

    said = scaling("trial", "grid.yaml", cooldown, "--local", "-o", tmp_path, "--db", "there.db")

    assert "saved" in said


def test_logs_and_status_read_the_address(scaling: Command, trained: Path) -> None:
    (trunk,) = (trial for trial, _, _ in rows(scaling, "here.db") if "trunk" in trial)
    folder = trained / "bucket" / trunk
    (folder / "attempt-2-rank-1.log").write_text("of another process\n")
    (folder / "attempt-2.log").write_text("the second\n")
    (folder / "attempt-10.log").write_text("the tenth\n")

    assert scaling("logs", trunk, "--db", "there.db") == "the tenth\n"
    assert scaling("logs", trunk, "--attempt", 2, "--db", "there.db") == "the second\n"
    assert scaling("logs", trunk, "-f", "--db", "there.db") == "the tenth\n"
    assert json.loads(scaling("status", "--json", "--db", "there.db"))["failed"] == []


def test_a_batch_job_takes_an_address(scaling: Command) -> None:
    words = ["slurm", "grid.yaml", "--nodes", 1, "--time", "01:00:00", "--db", "there.db"]

    text = scaling(*words, "--checkpoints", "file:///mnt/bucket/study")

    assert "checkpoints=file:///mnt/bucket/study\n" in text


@pytest.mark.parametrize("words", [["run", "grid.yaml"], ["run", "grid.yaml", "--dry-run"]])
def test_what_is_not_installed_is_named(scaling: Command, words: list[str]) -> None:
    said = scaling(*words, "--checkpoints", "wandb://bucket/x", "--db", "there.db", code=2)

    assert said.startswith("error: wandb://bucket/x: what reads and writes wandb:// is not")
    assert "pip install wandbfs" in said
    assert len(said.splitlines()) == 1
