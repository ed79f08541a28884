"""A run into a PostgreSQL store whose driver is killed ends as one into a file, left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from drivers import results
from postgres_server import Server, schema_of

SEEDS = 4
GRID = f"""
study: few
families: [clip]
models: [tiny-a]
samples_seen: [256, 512]
datasets:
  shapes: {{kind: shapes}}
schedules: [const-cooldown]
recipes:
  - {{batch_size: 32, warmup: 1 steps, precision: fp32}}
seeds: {[*range(SEEDS)]}
evaluate: [shapes_retrieval]
"""
FINISHED = "SELECT count(*) FROM attempt WHERE outcome = 'done'"
TABLES = {
    "measurement": "SELECT trial_id, samples_seen, task, metric, value FROM measurement",
    "curve": "SELECT trial_id, samples_seen, loss FROM curve",
    "weights": "SELECT trial_id, samples_seen, sha256 FROM checkpoint",
}


@pytest.mark.slow
def test_a_killed_driver_of_a_server_loses_and_doubles_nothing(
    postgres: Server, tmp_path: Path
) -> None:
    grid, place = tmp_path / "few.yaml", postgres.place()
    grid.write_text(GRID)
    schema = schema_of(place)
    command = [sys.executable, "-m", "scaling", "run", str(grid), "--executor", "local"]
    server = ["--db", place.secret, "--checkpoints", str(tmp_path / "shared")]

    def rows(statement: str) -> list[tuple[Any, ...]]:
        return postgres.execute(statement, schema)

    driver = subprocess.Popen([*command, *server], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while (
            not _count(rows, "SELECT count(*) FROM attempt WHERE outcome = 'done'") >= SEEDS // 2
        ):
            assert driver.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    assert _count(rows, "SELECT count(*) FROM trial WHERE state != 'complete'") > 0
    assert rows("SELECT pid FROM scaling_writer") == [(driver.pid,)]
    begun = _count(rows, "SELECT count(*) FROM attempt")

    again = subprocess.run([*command, *server], capture_output=True, text=True, check=False)

    assert again.returncode == 0, again.stderr
    assert "secret" not in again.stdout + again.stderr
    assert rows("SELECT state, count(*) FROM trial GROUP BY state") == [("complete", 3 * SEEDS)]
    assert _count(rows, "SELECT count(*) FROM attempt WHERE ended IS NULL") == 0
    assert _count(rows, "SELECT count(*) FROM attempt") - 3 * SEEDS <= 1 <= begun
    assert rows("SELECT pid FROM scaling_writer") == []
    assert sorted(path.name for path in (tmp_path / "shared").glob("postgres.*")) == [
        "postgres.events.jsonl",
        "postgres.log",
        "postgres.status.json",
    ]

    whole = tmp_path / "results.db"
    subprocess.run([*command, "--db", str(whole)], check=True, stderr=subprocess.DEVNULL)
    found = {name: sorted(rows(statement)) for name, statement in TABLES.items()}
    assert found == {name: sorted(kept) for name, kept in results(whole).items()}


def _count(rows: Any, statement: str) -> int:
    """The number that a statement finds; 0 as long as the tables are not there."""
    from psycopg.errors import UndefinedTable

    try:
        return int(rows(statement)[0][0])
    except UndefinedTable:
        return 0
