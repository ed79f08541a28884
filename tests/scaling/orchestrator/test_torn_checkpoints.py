"""Processes that are killed while they save: what is half written is as if it were not there."""

import hashlib
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from forks import Forks
from small_plans import Runs, counts, plan_of

from scaling.orchestrator import LocalExecutor

GRID = {
    "samples_seen": [640, 1280],
    "recipes": [{"batch_size": 64, "precision": "fp32", "warmup": "64 samples"}],
}
TRAINER = "torn_trainer:train"
FRACTIONS = (0, 0.01, 0.3, 0.6, 0.999)


def recorded(db: Path) -> list[tuple[str, int, str, str]]:
    """Kind of trial, samples seen, path and digest of each checkpoint in the store."""
    query = """SELECT kind, samples_seen, path, sha256 FROM checkpoint
        JOIN trial ON trial.id = trial_id ORDER BY 1, 2"""
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute(query).fetchall()


def test_a_checkpoint_that_is_torn_anywhere_is_never_used(tmp_path: Path, here: Runs) -> None:
    here.run(plan_of(**GRID), "scaling.train:train")
    torn = Runs(tmp_path / "torn", LocalExecutor)
    size = min(path.stat().st_size for path in here.checkpoints.rglob("*.pt"))
    places = [*(str(int(size * part)) for part in FRACTIONS), "written", "renamed", "told"]

    with Forks.of(torn.db, TRAINER, GRID) as forks:
        for place in places:
            forks.start(SCALING_TEST_KILL=f"trunk 512 {place}")
            assert forks.end() == -signal.SIGKILL, place
            # No row, and the cooldown, which this is the branch point of, has not begun.
            assert recorded(torn.db) == []
            assert not list(torn.checkpoints.glob("*cooldown*"))
        # What the last one left in its journal is whole; the next file is torn.
        for place in places:
            forks.start(SCALING_TEST_KILL=f"trunk 1024 {place}")
            assert forks.end() == -signal.SIGKILL, place
            saved = recorded(torn.db)
            assert [(kind, seen) for kind, seen, *_ in saved if kind == "trunk"] == [
                ("trunk", 512)
            ]
            assert not list(torn.checkpoints.glob("*cooldown-1.28K*"))
        forks.start()
        assert forks.end() == 0

    assert torn.results() == here.results()
    assert [row[3] for row in recorded(torn.db)] == [row[3] for row in recorded(here.db)]
    for _, _, path, sha256 in recorded(torn.db):
        assert hashlib.sha256((torn.checkpoints / path).read_bytes()).hexdigest() == sha256
    assert not list(torn.checkpoints.rglob("*.tmp"))
    with closing(sqlite3.connect(torn.db)) as connection:
        began = connection.execute(
            """SELECT began_samples_seen, count(*) FROM attempt JOIN trial ON trial.id = trial_id
            WHERE kind = 'trunk' GROUP BY 1 ORDER BY 1"""
        ).fetchall()
    # From nothing until the first one was whole, from there until the second one was.
    assert began == [(None, len(places)), (512, len(places))]
    assert counts(torn.run(plan_of(**GRID)))[1] == 3
