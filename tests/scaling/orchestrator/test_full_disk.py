"""A store, or the checkpoints, on a disk that is full for a while."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fake_trainer import METRICS, steps
from small_plans import Record, Runs, counts, plan_of
from test_stopping import await_line, start

from scaling.orchestrator import LocalExecutor, room, verdicts
from scaling.storage import storage_at
from scaling.store import TrialState


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB: room for 12 bytes a parameter of tiny-a, twice."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root mounts disks")
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "scaling-test", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


@pytest.mark.ray
def test_trials_go_on_while_the_store_is_full_and_nothing_is_lost(
    small_disk: Path, tmp_path: Path, here: Runs
) -> None:
    grid = {"samples_seen": [6400]}
    here.run(plan_of(**grid))
    runs = Runs(small_disk, LocalExecutor)
    runs.checkpoints.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    runs.checkpoints.symlink_to(elsewhere)
    runs.mischief(trunk={"do": "wait"})
    driver = start(runs, "ray", "fake_trainer:train", '{"samples_seen": [6400]}')
    await_line(driver, "running")
    deadline = time.monotonic() + 60
    while not list(elsewhere.glob("*/steps.txt")) and time.monotonic() < deadline:
        time.sleep(0.02)

    filler = fill(small_disk)
    await_line(driver, "nothing starts until this can be written again")
    before = len(steps(runs.directory("trunk")))
    time.sleep(1)
    during = len(steps(runs.directory("trunk")))
    filler.unlink()
    out, err = driver.communicate(timeout=60)

    assert during > before
    assert driver.returncode == 0, err
    assert f"trials: 2 done; {len(METRICS)} measurements" in out
    assert runs.results() == here.results()
    assert steps(runs.directory("trunk")) == [*range(64, 5120 + 1, 64)]


class Emptying(Record):
    """Makes room once it is told that there is none."""

    def __init__(self, filler: Path) -> None:
        super().__init__()
        self.filler = filler

    def waiting(self, reason: str) -> None:
        super().waiting(reason)
        self.filler.unlink(missing_ok=True)


def test_nothing_starts_until_there_is_room_for_a_checkpoint(
    small_disk: Path, tmp_path: Path
) -> None:
    runs = on(small_disk, tmp_path)
    filler = fill(small_disk)
    runs.display = lambda: Emptying(filler)

    outcome = runs.run(plan_of())

    assert outcome.exit_code == 0
    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    why, again = runs.show.waited
    assert re.fullmatch(
        rf"{small_disk}: 0 KiB free; the next checkpoint of \S+ needs [\d.]+ MiB", why
    )
    assert again == ""
    assert len(runs.show.started()) == 3


def test_a_run_that_finds_no_room_for_long_ends_and_says_why(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_SECONDS", 0.3)
    runs = on(small_disk, tmp_path)
    filler = fill(small_disk)

    outcome = runs.run(plan_of())

    assert outcome.exit_code == 1
    assert runs.show.started() == []
    assert "trials: 3 not finished; 0 measurements" in str(outcome)
    assert f"{small_disk}: 0 KiB free" in str(outcome)
    filler.unlink()
    assert counts(runs.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))


class Filling(Record):
    """Fills a disk when the first attempt begins, and empties it when that has ended."""

    def __init__(self, disk: Path) -> None:
        super().__init__()
        self.disk = disk

    def state(
        self, trial_id: str, state: TrialState, note: str = "", *, attempt: int | None = None
    ) -> None:
        super().state(trial_id, state, note, attempt=attempt)
        if len(self.told) == 1:
            fill(self.disk)
        else:
            (self.disk / "filler").unlink(missing_ok=True)


def test_an_attempt_whose_storage_is_full_is_tried_again(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_SECONDS_FOR_ROOM", 0.05)
    runs = on(small_disk, tmp_path)
    runs.root = storage_at(f"file://{small_disk}", tmp_path / "scratch")
    runs.display = lambda: Filling(small_disk)

    assert counts(runs.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))

    (_, state, why) = runs.show.told[1]
    assert state == "pending"
    assert "No space left on device" in why


def on(disk: Path, tmp_path: Path) -> Runs:
    """Runs whose checkpoints are on a disk, and whose store is elsewhere."""
    runs = Runs(tmp_path, LocalExecutor)
    runs.root = disk
    return runs
