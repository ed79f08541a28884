import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scaling.errors import StoreError
from scaling.store import Store

DRIVER = """
import sys, time
from pathlib import Path
from scaling.store import Store
with Store(Path(sys.argv[1])):
    print("open", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def driver(tmp_path: Path) -> "subprocess.Popen[str]":
    """Another process that has the store open for writing."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path / "results.db")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_driver_is_refused_and_told_who_the_first_is(
    tmp_path: Path, driver: "subprocess.Popen[str]"
) -> None:
    holder = json.loads((tmp_path / "results.db.lock").read_text())

    with pytest.raises(StoreError) as refusal:
        Store(tmp_path / "results.db")

    assert f"process {driver.pid} on {holder['host']} since {holder['started']}" in str(
        refusal.value
    )


def test_readers_do_not_mind_a_driver(tmp_path: Path, driver: "subprocess.Popen[str]") -> None:
    assert Store.read(tmp_path / "results.db").studies() == []


def test_the_lock_of_a_dead_driver_is_taken_over(
    tmp_path: Path, driver: "subprocess.Popen[str]"
) -> None:
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()

    with Store(tmp_path / "results.db"):
        assert json.loads((tmp_path / "results.db.lock").read_text())["pid"] == os.getpid()


def test_a_closed_store_can_be_opened_again(tmp_path: Path) -> None:
    first = Store(tmp_path / "results.db")
    with pytest.raises(StoreError, match="is being written by process"):
        Store(tmp_path / "results.db")
    first.close()

    Store(tmp_path / "results.db").close()


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.db")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    store.close()

    Store(tmp_path / "results.db").close()

    child.communicate(b"\n")
