"""`scaling doctor` on stores that were damaged in the ways in which stores are."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Server
from sqlalchemy import create_engine

from scaling.cli.app import main
from scaling.database import Database
from scaling.doctor import disks, evaluation_sets, gpus, ray_tokens, versions
from scaling.findings import Level
from scaling.grid import expand, parse_grid
from scaling.store import Ending, Store, TrialState
from scaling.store.inspection import Inspection
from scaling.trial import Checkpoint, Measurement

OLD = Path(__file__).parents[1] / "store" / "data" / "version-1.db"
GRID: dict[str, Any] = {
    "study": "small",
    "families": ["clip"],
    "models": ["tiny-a"],
    "samples_seen": [1024],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": ["cosine"],
    "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "256 samples"}],
    "evaluate": ["shapes_classification"],
}
WEIGHTS = b"weights" * 1000
Doctor = Callable[..., list[dict[str, str]]]


@pytest.fixture(autouse=True)
def in_a_sound_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS", "SCALING_EVALUATION_SETS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """What the command finds that is not fine; checks its exit code."""

    def run(*words: object) -> list[dict[str, str]]:
        with pytest.raises(SystemExit) as left:
            main(["doctor", "--json", *map(str, words)])
        found: list[dict[str, str]] = json.loads(capsys.readouterr().out)
        assert (left.value.code or 0) == any(row["level"] == "problem" for row in found)
        assert all(row["remedy"] for row in found if row["level"] != "fine")
        return [row for row in found if row["level"] != "fine"]

    return run


@pytest.fixture
def trial_id() -> str:
    """The one trial of `results.db`, complete, with a checkpoint and its measurements."""
    return recorded(Path("results.db"))


def recorded(db: Database) -> str:
    plan = expand(parse_grid(GRID, "grid.yaml"), text="text", source="grid.yaml")
    (planned,) = plan.trials
    its = planned.trial.id
    saved = Checkpoint(
        trial_id=its,
        samples_seen=1024,
        path=Path(its, "1024-1.pt"),
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        bytes=len(WEIGHTS),
    )
    numbers = [
        Measurement(
            trial_id=its, samples_seen=1024, task="shapes_classification", metric=name, value=value
        )
        for name, value in (("acc1", 0.25), ("loss", 2.5))
    ]
    with Store(db) as store:
        store.record_plan(plan)
        attempt = store.start_attempt(its)
        ending = Ending("done", TrialState.COMPLETE)
        store.finish(its, attempt, ending, [saved, *numbers])
    whole = weights_of(its)
    whole.parent.mkdir(parents=True)
    whole.write_bytes(WEIGHTS)
    return its


def weights_of(trial_id: str) -> Path:
    return Path("results.checkpoints", trial_id, "1024-1.pt")


def damage(*statements: str) -> None:
    """Change the store as no command does: nothing checks foreign keys here."""
    with sqlite3.connect("results.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def snapshot() -> dict[str, tuple[int, bytes]]:
    files = (path for path in Path().rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_sound_store_has_no_findings_and_nothing_is_written(
    doctor: Doctor, trial_id: str
) -> None:
    before = snapshot()
    assert doctor("--digests") == []
    assert snapshot() == before


def test_a_store_of_an_earlier_schema_is_left_as_it_is(doctor: Doctor) -> None:
    shutil.copy(OLD, "results.db")
    before = snapshot()
    (finding,) = doctor()
    assert "none of 2 checkpoints is there" in finding["what"]
    assert snapshot() == before


def test_without_a_store_the_machine_is_checked(doctor: Doctor) -> None:
    assert doctor() == []
    (finding,) = doctor("--db", "typo.db")
    assert finding["what"] == "there is no store"
    assert not list(Path().glob("*.db*"))


@pytest.mark.parametrize(
    ("statement", "level", "what", "where"),
    [
        ("update measurement set value = 9e999 where id = 1", "problem", "no finite", "acc1"),
        ("update measurement set value = 'nan' where id = 1", "problem", "no finite", "acc1"),
        ("update measurement set value = x'00ff' where id = 1", "problem", "no finite", "acc1"),
        ("update measurement set value = 63.8 where id = 1", "warning", "acc1 are above 1", ""),
        ("update measurement set value = -0.1", "warning", "acc1 are below 0", ""),
        ("update measurement set samples_seen = 0 where id = 1", "problem", "samples_seen", ""),
        ("update trial set state = 'odd'", "problem", "unknown state", "'odd'"),
        ("update trial set state = 'running'", "warning", "no attempt is at them", "clip-"),
        ("delete from attempt", "problem", "rows refer to what is not in the table attempt", ""),
        ("delete from trial", "problem", "not in the table trial: clip-tiny-a", "table cell"),
        ("delete from study", "problem", "not in the table study: 1", "table cell, study_id"),
    ],
)
def test_rows_that_cannot_be_true_are_found(
    doctor: Doctor, trial_id: str, statement: str, level: str, what: str, where: str
) -> None:
    damage(statement)
    found = doctor()
    assert any(
        row["level"] == level and what in row["what"] and where in row["where"] for row in found
    ), found


def test_a_complete_trial_that_was_never_begun_is_found(doctor: Doctor, trial_id: str) -> None:
    damage("delete from measurement", "delete from checkpoint", "delete from attempt")
    assert any("none was ever begun" in row["what"] for row in doctor())


def test_what_a_killed_writer_left_is_read_and_left(doctor: Doctor, trial_id: str) -> None:
    program = (
        "import os; from pathlib import Path; from scaling.store import Store; "
        f"Store(Path('results.db')).start_attempt({trial_id!r}); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert Path("results.db-wal").stat().st_size
    before = snapshot()
    (finding,) = doctor()
    assert "no driver lives" in finding["what"]
    del before["results.db-shm"]  # Memory of SQLite's that happens to be a file.
    assert before.items() <= snapshot().items()


def test_an_attempt_without_a_driver_is_found_and_one_with_it_is_not(
    doctor: Doctor, trial_id: str
) -> None:
    with Store(Path("results.db")) as store:
        store.start_attempt(trial_id)
        assert doctor() == []
    (finding,) = doctor()
    assert finding["level"] == "warning"
    assert f"{trial_id} attempt 2" in finding["what"]


def test_a_missing_checkpoint_is_found(doctor: Doctor, trial_id: str) -> None:
    weights_of(trial_id).unlink()
    (finding,) = doctor()
    assert "none of 1 checkpoints is there" in finding["what"]


def test_a_truncated_checkpoint_is_found(doctor: Doctor, trial_id: str) -> None:
    os.truncate(weights_of(trial_id), 100)
    (finding,) = doctor()
    assert "of another size" in finding["what"]
    assert "(100 of 7000 bytes)" in finding["where"]


def test_one_of_two_checkpoints_is_missing(doctor: Doctor, trial_id: str) -> None:
    damage(
        "insert into checkpoint (trial_id, samples_seen, path, sha256, bytes, attempt) "
        "select trial_id, 512, 'gone/512-1.pt', sha256, bytes, attempt from checkpoint"
    )
    (finding,) = doctor()
    assert finding["where"] == "gone/512-1.pt"


def test_rows_about_files_may_hold_anything(doctor: Doctor, trial_id: str) -> None:
    damage("update checkpoint set path = 'a' || char(0), bytes = 'many', samples_seen = 'some'")
    assert any(row["level"] == "problem" for row in doctor("--digests"))


def test_changed_bytes_are_found_with_digests_only(doctor: Doctor, trial_id: str) -> None:
    weights_of(trial_id).write_bytes(WEIGHTS[::-1])
    assert doctor() == []
    (finding,) = doctor("--digests")
    assert "byte for byte" in finding["what"]


def test_checkpoints_at_an_address_are_checked(
    doctor: Doctor, trial_id: str, tmp_path: Path
) -> None:
    place = ("--checkpoints", f"local://{tmp_path}/results.checkpoints")
    assert doctor(*place, "--digests") == []
    weights_of(trial_id).with_name("512-1.pt").write_bytes(WEIGHTS)
    assert "are in no row" in doctor(*place)[0]["what"]
    weights_of(trial_id).unlink()
    assert "none of 1 checkpoints is there" in doctor(*place)[0]["what"]


def test_files_that_no_row_knows_are_found(doctor: Doctor, trial_id: str) -> None:
    shutil.copy(weights_of(trial_id), weights_of(trial_id).with_name("512-1.pt"))
    weights_of(trial_id).with_name("2048-1.tmp").write_bytes(b"half")
    Path("results.checkpoints", "gone").mkdir()
    Path("results.checkpoints", "gone", "1.pt").write_bytes(b"old")
    unknown, unfinished = doctor()
    assert unknown["what"].startswith("2 files of weights (")
    assert "2048-1.tmp" in unfinished["where"]


@pytest.mark.parametrize("part", [0, 50, 1000, 5000, 20000])
def test_a_torn_store_is_a_problem_and_no_fault_of_ours(
    doctor: Doctor, trial_id: str, part: int
) -> None:
    os.truncate("results.db", part)
    assert any(row["section"] == "store" for row in doctor())


def test_a_store_with_a_torn_page_is_a_problem(doctor: Doctor, trial_id: str) -> None:
    size = Path("results.db").stat().st_size
    with Path("results.db").open("r+b") as file:
        file.seek(size // 4096 // 2 * 4096)
        file.write(b"\xff" * 8192)
    assert any(row["section"] == "store" and row["level"] == "problem" for row in doctor())


def test_a_file_that_is_no_store_is_a_problem(doctor: Doctor) -> None:
    Path("results.db").write_text("family,model\n" * 100)
    (finding,) = doctor()
    assert "is not a scaling store" in finding["what"]


def test_a_server_out_of_reach_is_a_problem(doctor: Doctor) -> None:
    found = doctor("--db", "postgresql+psycopg://me:secret@127.0.0.1:1/lab")
    assert found[0]["section"] == "store"
    assert "secret" not in json.dumps(found)


def test_rows_on_a_server_are_checked(doctor: Doctor, postgres: Server) -> None:
    place = postgres.place()
    recorded(place)
    words = ("--db", place.secret, "--checkpoints", "results.checkpoints")
    assert doctor(*words) == []
    engine = create_engine(place.secret)
    with engine.begin() as connection:
        connection.exec_driver_sql("set session_replication_role = replica")  # Foreign keys off.
        connection.exec_driver_sql("update measurement set value = 'NaN' where metric = 'acc1'")
        connection.exec_driver_sql("update measurement set value = '-inf' where metric = 'loss'")
        connection.exec_driver_sql("delete from attempt")
    engine.dispose()
    found = [finding["what"] for finding in doctor(*words)]
    assert "2 measurements are no finite number; nothing can be fitted to them" in found
    assert sum("not in the table attempt" in what for what in found) == 2
    assert any("checkpoints are not checked" in row["what"] for row in doctor(*words[:2]))


def test_text_says_the_level_the_place_and_what_to_do(
    trial_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights_of(trial_id).unlink()
    with pytest.raises(SystemExit):
        main(["doctor"])
    said = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(said) if line.startswith("  problem  "))
    assert said[place + 1].startswith("           -> bring the files back")
    assert said[-1] == "problems: 1, warnings: 0"


def test_too_little_room_is_a_warning(tmp_path: Path) -> None:
    class Full:
        """A storage that has one MiB left."""

        def free_bytes(self) -> int:
            return 2**20

    found = [*disks.check(tmp_path / "results.db", Full(), Inspection())]  # type: ignore[arg-type]
    (finding,) = (finding for finding in found if finding.level != Level.FINE)
    assert finding.level == Level.WARNING
    assert "are wanted before the next checkpoint" in finding.what


def test_ray_tokens(tmp_path: Path) -> None:
    def level(**environment: str) -> str:
        (finding,) = ray_tokens.check(environment, tmp_path)
        return str(finding.level)

    assert level() == "fine"
    assert level(RAY_AUTH_MODE="token") == "problem"
    assert level(RAY_ADDRESS="head:6379") == "problem"
    assert level(RAY_AUTH_MODE="none") == "problem"
    assert level(RAY_AUTH_MODE="disabled") == "warning"
    assert level(RAY_AUTH_TOKEN="a" * 64) == "fine"
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.touch(mode=0o600)
    assert level(RAY_ADDRESS="head:6379") == "fine"
    token.chmod(0o644)
    assert level() == "fine"  # Nobody else gets into the folder of a test.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (finding,) = ray_tokens.check({"RAY_AUTH_TOKEN_PATH": str(shutil.copy(token, folder))})
        assert finding.level == Level.WARNING


def test_the_folder_of_evaluation_sets(tmp_path: Path) -> None:
    def level(folder: Path) -> str:
        (finding,) = evaluation_sets.check({"SCALING_EVALUATION_SETS": str(folder)})
        return str(finding.level)

    assert level(tmp_path / "missing") == "problem"
    assert level(tmp_path) == "warning"
    (tmp_path / "imagenet1k").mkdir()
    assert level(tmp_path) == "fine"


def test_versions_and_gpus(tmp_path: Path) -> None:
    (found,) = versions.check()
    assert f"python {sys.version.split()[0]}" in found.what
    assert [*versions.check(("no-such-package",))][1].level == Level.PROBLEM
    assert all(finding.level == Level.FINE for finding in gpus.check(tmp_path / "no-driver"))
