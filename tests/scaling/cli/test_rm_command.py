"""`scaling rm`: a study goes as a whole, and nothing that another one needs goes with it."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scaling.cli.app import main
from scaling.grid import expand, parse_grid
from scaling.store import Store
from scaling.store.removal import _OF_TRIALS
from scaling.store.tables import Row
from scaling.trial import Checkpoint, CurvePoint, Measurement

GRID: dict[str, Any] = {
    "study": "one",
    "families": ["clip"],
    "models": ["tiny-a"],
    "samples_seen": [1024, 2048],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": ["const-cooldown", "cosine"],
    "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "256 samples"}],
    "evaluate": ["shapes_classification"],
}
HOSTILE = "o'ne\" %_;\n--"
Command = Callable[..., str]


def fill(db: Path, **changes: object) -> None:
    """Add a study of which every trial has an attempt, a number, a curve and a checkpoint."""
    plan = expand(parse_grid({**GRID, **changes}, "grid.yaml"), text="text", source="grid.yaml")
    with Store(db) as store:
        store.record_plan(plan)
        for planned in plan.trials:
            its = planned.trial.id
            if store.checkpoints(its):
                continue
            path = Path(its) / "64-1.pt"
            whole = db.with_suffix(".checkpoints") / path
            whole.parent.mkdir(parents=True)
            whole.write_bytes(b"weights")
            number = store.start_attempt(its)
            found = [
                Measurement(trial_id=its, samples_seen=64, task="t", metric="acc1", value=0.5),
                CurvePoint(trial_id=its, samples_seen=64, loss=4.0),
                Checkpoint(trial_id=its, samples_seen=64, path=path, sha256="ab" * 32, bytes=7),
            ]
            store.record(its, number, found)


def rows(db: Path) -> dict[str, int]:
    with closing(sqlite3.connect(db)) as connection:
        assert not connection.execute("PRAGMA foreign_key_check").fetchall()
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in Row.metadata.tables
        }


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "results.db")
    return tmp_path / "results.db"


@pytest.fixture
def scaling(db: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command; gives what it prints, or its complaint where the exit code is to be 2."""

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main([*map(str, words)])
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    return run


def files(db: Path) -> int:
    return len([*db.with_suffix(".checkpoints").rglob("*.pt")])


def test_a_study_goes_and_the_files_stay(scaling: Command, db: Path) -> None:
    before = rows(db)
    assert "study one: what goes" in scaling("rm", "--study", "one", "--dry-run")
    assert rows(db) == before

    said = scaling("rm", "--study", "one", "--yes")
    assert "4 cells, 5 trials with 5 attempts and 5 measurements" in said
    assert "5 files of checkpoints (0.0 MiB): kept" in said
    assert set(rows(db).values()) == {0}
    assert files(db) == 5
    assert "unknown study 'one'" in scaling("rm", "--study", "one", "--yes", code=2)


def test_files_go_where_that_is_asked_for(scaling: Command, db: Path) -> None:
    said = json.loads(scaling("rm", "--study", "one", "--yes", "--checkpoints", "--json"))
    assert (said["removed"], said["files_deleted"], said["checkpoint_bytes"]) == (True, True, 35)
    assert files(db) == 0


def test_what_another_study_needs_stays(scaling: Command, db: Path) -> None:
    # The other study asks for one cooldown of two, and so for the trunk of both.
    fill(db, study="two", samples_seen=[1024], schedules=["const-cooldown"])
    shared = rows(db)["trial"] - 5
    said = json.loads(scaling("rm", "--study", "one", "--yes", "--checkpoints", "--json"))

    assert len(said["trials"]) + len(said["trials_that_stay"]) == 5
    with Store.read(db) as store:
        left = {trial["id"] for trial in store.trials()}
    assert len(said["trials_that_stay"]) == 2
    assert left >= {*said["trials_that_stay"]}
    assert not left & {*said["trials"]}
    assert len(left) == len(said["trials_that_stay"]) + shared
    assert files(db) == len(left)
    assert [study["name"] for study in json.loads(scaling("ls", "--json"))] == ["two"]
    scaling("rm", "--study", "two", "--yes")
    assert set(rows(db).values()) == {0}


def test_nobody_to_ask_needs_yes(scaling: Command, db: Path) -> None:
    before = rows(db)
    assert "say --yes" in scaling("rm", "--study", "one", code=2)
    assert "did you mean 'one'" in scaling("rm", "--study", "onee", "--yes", code=2)
    assert "there is no store" in scaling("rm", "--study", "a", "--db", "no.db", code=2)
    assert not Path("no.db").exists()
    assert rows(db) == before


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 5), (b"y\n", 0)])
def test_on_a_terminal_it_asks(db: Path, answer: bytes, left: int) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "scaling", "rm", "--study", "one"]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, cwd=db.parent)
    os.write(ours, answer)
    said, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert b"4 cells, 5 trials" in said
    assert process.returncode == (1 if left else 0)
    assert rows(db)["trial"] == left


def test_a_store_that_is_written_is_left_alone(scaling: Command, db: Path) -> None:
    before = rows(db)
    with Store(db):
        assert "is being written by process" in scaling("rm", "--study", "one", "--yes", code=2)
        assert "what goes" in scaling("rm", "--study", "one", "--dry-run")
    assert rows(db) == before


def test_a_hostile_name_is_only_a_name(scaling: Command, db: Path) -> None:
    fill(db, study="two", samples_seen=[4096])
    with sqlite3.connect(db) as connection:
        connection.execute("update study set name = ? where name = 'one'", [HOSTILE])
    connection.close()
    assert "unknown study" in scaling("rm", "--study", "%", "--yes", code=2)
    scaling("rm", "--study", HOSTILE, "--yes")
    assert [study["name"] for study in json.loads(scaling("ls", "--json"))] == ["two"]


@pytest.mark.parametrize("path", ["../../precious.pt", "/tmp/precious.pt"])
def test_no_file_outside_the_folder_is_deleted(scaling: Command, db: Path, path: str) -> None:
    with sqlite3.connect(db) as connection:
        connection.execute("update checkpoint set path = ? where id = 1", [path])
    connection.close()
    before = rows(db)
    words = ("rm", "--study", "one", "--yes", "--checkpoints")
    assert "the store is damaged" in scaling(*words, code=2)
    assert (rows(db), files(db)) == (before, 5)


def test_imported_studies_go_too(scaling: Command, db: Path) -> None:
    Path("lm.csv").write_text(
        "family,model,dataset,schedule,samples_seen,task,metric,value,params\n"
        "gpt,70M,c4,cosine,1000000,lm,loss,3.5,70000000\n"
    )
    before = rows(db)
    scaling("import", "lm.csv")
    scaling("rm", "--study", "lm", "--yes")
    assert rows(db) == before
    scaling("import", "lm.csv")  # and may come back


def test_every_table_of_trials_is_known(db: Path) -> None:
    of_trials = {table for table, its in Row.metadata.tables.items() if "trial_id" in its.columns}
    assert of_trials == {table.__tablename__ for table in _OF_TRIALS} | {"cell"}
