"""However a run ends, nothing that it began is alive when it has ended, gangs included."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_plans import Runs
from test_gang import ONE_TRIAL, TRAINER, TWO
from test_stopping import await_line, start, started_by

from scaling.orchestrator import LocalExecutor

Driver = subprocess.Popen[str]


def finishes(driver: Driver) -> None:
    """The run ends by itself."""


def interrupted(driver: Driver) -> None:
    # Ctrl-C on a terminal goes to all processes of the group.
    os.killpg(driver.pid, signal.SIGINT)


def interrupted_twice(driver: Driver) -> None:
    interrupted(driver)
    await_line(driver, "Ctrl-C again does not wait")
    interrupted(driver)


def terminated(driver: Driver) -> None:
    driver.terminate()


def killed(driver: Driver) -> None:
    driver.kill()


@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=pytest.mark.ray)])
@pytest.mark.parametrize(
    ("end", "does", "codes"),
    [
        (finishes, "nothing", {0}),
        (interrupted, "wait", {130}),
        (interrupted_twice, "hang", {1, -signal.SIGINT}),
        (terminated, "wait", {130}),
        (killed, "wait", {-signal.SIGKILL}),
    ],
)
def test_no_process_is_left(
    tmp_path: Path, executor: str, end: Callable[[Driver], None], does: str, codes: set[int]
) -> None:
    runs = Runs(tmp_path, LocalExecutor)
    runs.mischief(cosine={"at": 64, "do": does} if does == "hang" else {"do": does})
    driver = start(runs, executor, TRAINER, json.dumps({**ONE_TRIAL, "resources": TWO}))
    await_line(driver, "attempt 1")
    deadline = time.monotonic() + 60
    while not list(runs.checkpoints.glob("*/steps.txt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert does == "nothing" or len(started_by(driver)) >= 3

    end(driver)
    _, err = driver.communicate(timeout=60)

    if driver.returncode == -signal.SIGKILL:
        # Others have to notice.
        while started_by(driver) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert started_by(driver) == []
    assert driver.returncode in codes, err
