import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from scaling.database import Database, ServerURL
from scaling.errors import StoreError
from scaling.store import Store, last_holder

DRIVER = """
import sys, time
from scaling.database import parse_database
from scaling.store import Store
with Store(parse_database(sys.argv[1])):
    print("open", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def driver(db: Database) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the store open for writing."""
    place = db.secret if isinstance(db, ServerURL) else str(db)
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, place], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_driver_is_refused_and_told_who_the_first_is(
    db: Database, driver: "subprocess.Popen[str]"
) -> None:
    holder = last_holder(db)
    assert holder is not None

    with pytest.raises(StoreError) as refusal:
        Store(db)

    assert f"process {driver.pid} on {holder.host} since {holder.started}" in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_readers_do_not_mind_a_driver(db: Database, driver: "subprocess.Popen[str]") -> None:
    with Store.read(db) as reader:
        assert reader.studies() == []


def test_the_lock_of_a_dead_driver_is_taken_over(
    db: Database, driver: "subprocess.Popen[str]"
) -> None:
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    left = last_holder(db)
    assert left is not None
    assert left.pid == driver.pid

    with Store(db):
        holder = last_holder(db)
        assert holder is not None
        assert holder.pid == os.getpid()
    assert last_holder(db) is None


def test_a_closed_store_can_be_opened_again(db: Database) -> None:
    first = Store(db)
    with pytest.raises(StoreError, match="is being written by process"):
        Store(db)
    first.close()

    Store(db).close()


def test_children_do_not_inherit_the_lock(db: Database) -> None:
    store = Store(db)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    store.close()

    Store(db).close()

    child.communicate(b"\n")
