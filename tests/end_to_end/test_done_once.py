"""What is finished is never done again, and what ran when a driver was killed only once more."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from drivers import Drivers, query

TRIALS = 68
GRID = f"""
study: many
families: [clip]
models: [tiny-a]
samples_seen: [64]
datasets:
  shapes: {{kind: shapes}}
recipes:
  - {{batch_size: 32, warmup: 1 steps, precision: fp32}}
seeds: {[*range(TRIALS)]}
evaluate: [shapes_retrieval]
"""
FINISHED = "SELECT trial_id FROM attempt WHERE outcome = 'done'"
RUNNING = "SELECT trial_id FROM attempt WHERE ended IS NULL"


@pytest.fixture
def drivers(tmp_path: Path) -> Iterator[Drivers]:
    grid = tmp_path / "many.yaml"
    grid.write_text(GRID)
    drivers = Drivers(grid, tmp_path / "results.db")
    yield drivers
    drivers.close()


@pytest.mark.slow
@pytest.mark.ray
def test_a_killed_driver_redoes_at_most_what_was_running(drivers: Drivers, tmp_path: Path) -> None:
    db = tmp_path / "results.db"
    drivers.wait_until(db.exists)
    drivers.wait_until(lambda: drivers.workers() != [])
    drivers.wait_until(lambda: len(query(db, FINISHED)) >= 60 and len(query(db, RUNNING)) == 2)
    drivers.kill()
    finished, running = query(db, FINISHED), query(db, RUNNING)
    assert 60 <= len(finished) < TRIALS
    assert len(running) <= 2

    command = [sys.executable, "-m", "scaling", "run", str(tmp_path / "many.yaml")]
    subprocess.run([*command, "--db", str(db), "--executor", "local"], check=True)

    again = query(db, "SELECT trial_id FROM attempt GROUP BY trial_id HAVING count(*) > 1")
    assert set(again) <= set(running)
    assert query(db, "SELECT max(number), count(*) FROM attempt") == [(2, TRIALS + len(again))]
    assert query(db, "SELECT state, count(*) FROM trial GROUP BY state") == [("complete", TRIALS)]
