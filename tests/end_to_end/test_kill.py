"""Kill everything, again and again: nothing is lost, nothing doubled, nothing left behind."""

import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from drivers import query, results
from killing import Adversary, Victim

GRID = """
study: killed
families: [clip, mammut]
models: [tiny-a]
samples_seen: [2048, 4096, 8192, 16384, 32768]
datasets:
  shapes: {kind: shapes}
schedules: [const-cooldown]
recipes:
  - {batch_size: 64, learning_rate: 4e-3, warmup: 256 samples, precision: fp32}
evaluate: [shapes_classification, shapes_retrieval]
"""
KILLS = 11
VICTIMS: tuple[Victim, ...] = ("worker", "driver", "worker", "both")


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "killed.yaml"
    path.write_text(GRID)
    return path


@pytest.fixture
def adversary(grid: Path, tmp_path: Path) -> Iterator[Adversary]:
    adversary = Adversary(grid, tmp_path / "results.db", seed=int(os.environ.get("SEED", "0")))
    yield adversary
    adversary.close()


@pytest.mark.slow
@pytest.mark.ray
def test_a_run_that_is_killed_again_and_again_ends_as_if_nobody_had(
    grid: Path, tmp_path: Path, adversary: Adversary
) -> None:
    undisturbed = tmp_path / "undisturbed" / "results.db"
    undisturbed.parent.mkdir()
    command = [sys.executable, "-m", "scaling", "run", str(grid), "--db", str(undisturbed)]
    subprocess.run([*command, "--executor", "local"], check=True, capture_output=True)
    expected = results(undisturbed)
    # One after each so many results, so that all kills fall into the time that the work takes.
    share = (len(expected["measurement"]) + len(expected["curve"])) / (KILLS + 1)

    kills = 0
    for victim in itertools.islice(itertools.cycle(VICTIMS), KILLS):
        kills += adversary.strike(victim, int(kills * share))
    adversary.finish()
    assert kills >= 10

    db = tmp_path / "results.db"
    assert results(db) == expected
    assert query(db, "PRAGMA integrity_check") == [("ok",)]
    assert query(db, "SELECT DISTINCT state FROM trial") == [("complete",)]
    for path, sha256 in query(db, "SELECT path, sha256 FROM checkpoint"):
        content = (tmp_path / "results.checkpoints" / path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
    outcomes = query(db, "SELECT outcome, count(*) FROM attempt GROUP BY outcome")
    assert {"lost", "died", "done"} <= dict(outcomes).keys()
    assert adversary.finish() == "nothing to do: all 12 trials are complete\n"
    assert adversary.leftovers() == []
