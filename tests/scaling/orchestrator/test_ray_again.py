"""Ray's own processes on this machine, which may die or not come up."""

import os
import signal
import time
from pathlib import Path

import pytest
from fake_trainer import steps
from small_plans import Runs, plan_of
from test_stopping import await_line, start, started_by

from scaling.orchestrator import LocalExecutor

pytestmark = pytest.mark.ray


@pytest.fixture
def there(tmp_path: Path) -> Runs:
    """Runs that a driver makes with a Ray of its own."""
    return Runs(tmp_path / "there", LocalExecutor)


def test_a_node_of_our_own_that_dies_is_started_again(there: Runs, here: Runs) -> None:
    here.run(plan_of())
    there.mischief(trunk={"do": "wait"})
    driver = start(there, "ray")
    await_line(driver, "running (attempt 1)")
    (raylet,) = [
        pid
        for pid in started_by(driver)
        if b"/raylet\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    deadline = time.monotonic() + 60
    while not list(there.checkpoints.glob("*/steps.txt")) and time.monotonic() < deadline:
        time.sleep(0.02)

    os.kill(raylet, signal.SIGKILL)
    await_line(driver, "Ray's node on this machine died; starting it again")
    await_line(driver, "running (attempt 2)")
    driver.send_signal(signal.SIGTERM)
    _, err = driver.communicate(timeout=60)

    # On a quick machine what runs is complete before it hears of the stop.
    assert driver.returncode in {0, 130}, err
    assert started_by(driver) == []
    (there.checkpoints / "mischief.json").unlink()
    there.run(plan_of())
    assert there.results() == here.results()
    assert steps(there.directory("trunk"))[-1] == 1024


def test_a_ray_that_does_not_start_is_tried_twice_and_is_no_fault_of_ours(
    there: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file"))

    driver = start(there, "ray")
    _, err = driver.communicate(timeout=60)

    assert err.count("; once more") == 1
    assert "ResourceError: Ray did not start on this machine: " in err
    assert "`--executor local` does without it" in err
    assert started_by(driver) == []
