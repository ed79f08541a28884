"""A store on a disk that is full for a while."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fake_trainer import METRICS, steps
from small_plans import Runs, plan_of
from test_stopping import await_line, start

from scaling.orchestrator import LocalExecutor


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root mounts disks")
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "scaling-test", str(place)]
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
