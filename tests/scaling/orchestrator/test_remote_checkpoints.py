"""Runs whose checkpoints are at an address: all holds there that holds in a folder."""

import json
import signal
import time
from pathlib import Path

import pytest
import torn_uploads  # noqa: F401  # registers `torn://`
from fake_trainer import METRICS, steps
from small_plans import Runs, counts, plan_of
from test_stopping import await_line, start

from scaling.orchestrator import LocalExecutor, RayExecutor
from scaling.orchestrator.files import Files
from scaling.storage import storage_at
from scaling.store import Store


class RemoteRuns(Runs):
    """Runs with checkpoints at an address, and trials in a scratch folder."""

    def at(self, address: str) -> "RemoteRuns":
        self.bucket = Path(address.partition("://")[2])
        self.storage = storage_at(address, self.db.parent)
        self.root = self.storage
        self.checkpoints = self.storage.workplace("trial", 1).parent
        self.checkpoints.mkdir(mode=0o700)
        return self

    def leftovers(self) -> list[str]:
        """What attempts have left in the scratch folder; the steps are this test's."""
        folders = (path for path in self.checkpoints.iterdir() if path.is_dir())
        return [folder.name for folder in folders if not (folder / "steps.txt").exists()]


@pytest.fixture
def remote(runs: Runs, tmp_path: Path) -> RemoteRuns:
    """Runs with either executor, at the address of a folder."""
    folder = tmp_path / "remote"
    return RemoteRuns(folder, runs.executor).at(f"file://{tmp_path}/bucket")


@pytest.fixture
def torn(tmp_path: Path, ray_cluster: None) -> RemoteRuns:
    """Runs on Ray, at an address whose uploads can be cut."""
    return RemoteRuns(tmp_path / "remote", RayExecutor).at(f"torn://{tmp_path}/bucket")


def uploaded(runs: RemoteRuns) -> dict[str, int]:
    return {
        str(path.relative_to(runs.bucket)): path.stat().st_size
        for path in runs.bucket.rglob("*.pt*")
    }


def recorded(runs: Runs, **grid: object) -> dict[str, int]:
    trial_ids = [planned.trial.id for planned in plan_of(**grid).trials]
    with Store.read(runs.db) as store:
        there = store.recorded(trial_ids).values()
    return {str(c.path): c.bytes for its in there for c in its.checkpoints}


def test_a_grid_is_recorded_as_with_a_folder(remote: RemoteRuns, here: Runs) -> None:
    here.run(plan_of())

    outcome = remote.run(plan_of())

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert remote.results() == here.results()
    assert uploaded(remote) == recorded(remote) == recorded(here)
    assert remote.leftovers() == []
    assert counts(remote.run(plan_of())) == (0, 3, 0, 0, 0)


def test_a_longer_trunk_goes_on_from_what_was_uploaded(remote: RemoteRuns) -> None:
    remote.run(plan_of())

    remote.run(plan_of(samples_seen=[640, 1280, 1920]))

    assert steps(remote.directory("trunk")) == list(range(64, 1536 + 1, 64))
    assert remote.leftovers() == []


@pytest.mark.ray
def test_a_worker_killed_in_an_upload_has_uploaded_nothing(torn: RemoteRuns, here: Runs) -> None:
    here.run(plan_of())
    torn.bucket.mkdir()
    (torn.bucket / "cut").touch()

    outcome = torn.run(plan_of(), "torn_uploads:train")

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert torn.results() == here.results()
    # The first attempt's has no name that ends in `.pt`, and went before the second began.
    assert uploaded(torn) == recorded(torn)
    assert any(name.endswith("512-2.pt") for name in uploaded(torn))
    assert torn.leftovers() == []
    (trunk,) = (name for name, _, note in torn.show.told if "its worker died" in note)
    assert "died unexpectedly" in (torn.bucket / trunk / "attempt-1.log").read_text()


def test_processes_that_train_together_share_a_folder(tmp_path: Path) -> None:
    runs = RemoteRuns(tmp_path / "remote", LocalExecutor).at(f"file://{tmp_path}/bucket")
    two = {"default": {"gpus": 0, "processes": 2}}
    (runs.checkpoints / "ranks.json").write_text(json.dumps({"1": "kill"}))

    outcome = runs.run(plan_of(samples_seen=[640], resources=two), "gang_trainer:train")

    assert counts(outcome) == (2, 0, 0, 0, len(METRICS))
    assert uploaded(runs) == recorded(runs, samples_seen=[640])
    assert [note for _, _, note in runs.show.told if "its worker died" in note] != []
    assert runs.leftovers() == []


@pytest.mark.ray
def test_a_storage_that_takes_nothing_fails_trials_until_it_does(torn: RemoteRuns) -> None:
    torn.bucket.mkdir()
    (torn.bucket / "refuse").touch()
    assert counts(torn.run(plan_of(), "torn_uploads:train")) == (0, 0, 1, 2, 0)
    ((_, _, reason),) = (told for told in torn.show.told if told[1] == "failed")
    assert reason.startswith(f"torn://{torn.bucket}")
    assert "cannot be uploaded" in reason
    (torn.bucket / "refuse").unlink()

    outcome = torn.run(plan_of(), "torn_uploads:train")

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert torn.leftovers() == []


def test_the_log_of_a_bug_is_uploaded(remote: RemoteRuns) -> None:
    remote.mischief(trunk={"do": "raise", "at": 768})

    assert counts(remote.run(plan_of()))[2] == 1

    files = Files(remote.storage)
    (trunk,) = (p.trial.id for p in plan_of().trials if p.trial.kind == "trunk")
    (log,) = files.logs(trunk).values()
    assert "a bug in the trainer" in remote.storage.read(log).decode()
    ((_, _, reason),) = (told for told in remote.show.told if told[1] == "failed")
    assert reason.endswith(f"(traceback: {files.place_of_log(trunk, 1)})")
    assert remote.leftovers() == []


@pytest.fixture
def driven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteRuns:
    """Runs for drivers in processes of their own, which know the same address."""
    runs = RemoteRuns(tmp_path / "remote", LocalExecutor)
    runs.at(f"file://{runs.db.parent}/checkpoints").mischief(trunk={"do": "wait"})
    monkeypatch.setenv("SCRATCH", str(runs.db.parent))
    return runs


def test_nothing_is_lost_or_doubled_when_drivers_are_killed(
    driven: RemoteRuns, here: Runs
) -> None:
    grid = {"samples_seen": [640, 1280, 2560]}
    here.run(plan_of(**grid))
    for pieces in (3, 12, 20):
        driver = start(driven, "local", "fake_trainer:train", json.dumps(grid))
        await_pieces(driven.bucket, pieces)
        driver.kill()
        driver.communicate()

    outcome = driven.run(plan_of(**grid))

    assert outcome.exit_code == 0
    assert driven.results() == here.results()
    assert recorded(driven, **grid).items() <= uploaded(driven).items()
    assert recorded(driven, **grid).keys() != recorded(here, **grid).keys()  # Of later attempts.
    assert driven.leftovers() == []


def test_what_was_uploaded_and_not_recorded_is_replayed(remote: RemoteRuns) -> None:
    remote.run(plan_of())
    before = remote.results(), recorded(remote)
    with Store(remote.db) as store, store.writing() as connection:
        for statement in (
            "DELETE FROM checkpoint",
            "DELETE FROM measurement",
            "DELETE FROM curve",
            "UPDATE attempt SET ended = NULL, outcome = NULL, pid = NULL",
            "UPDATE trial SET state = 'running'",
        ):
            connection.exec_driver_sql(statement)

    outcome = remote.run(plan_of())

    # Of a task whose end nobody saw, all is measured again; nothing is trained.
    assert counts(outcome)[2:4] == (0, 0)
    assert (remote.results(), recorded(remote)) == before
    assert steps(remote.directory("trunk")) == list(range(64, 1024 + 1, 64))


@pytest.mark.ray
def test_a_run_that_is_stopped_saves_at_the_address(driven: RemoteRuns) -> None:
    grid = {"samples_seen": [64000]}
    driver = start(driven, "ray", "fake_trainer:train", json.dumps(grid))
    await_line(driver, "running")
    await_pieces(driven.bucket, 3)

    driver.send_signal(signal.SIGINT)
    driver.communicate(timeout=60)

    assert driver.returncode == 130
    (saved,) = recorded(driven, **grid)
    assert uploaded(driven) == recorded(driven, **grid)
    assert 0 < int(Path(saved).name.partition("-")[0]) < 51200


def await_pieces(bucket: Path, count: int) -> None:
    """Wait until so many pieces of journals have been written."""
    deadline = time.monotonic() + 60
    while len(list(bucket.glob("*/journal-*/*.jsonl"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
