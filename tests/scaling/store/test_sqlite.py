import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy.exc import OperationalError

from scaling.errors import StoreError
from scaling.plan import Plan
from scaling.store import Store, UnavailableError, recording

OPENERS = pytest.mark.parametrize("opened", [Store, Store.read], ids=["writing", "reading"])


@OPENERS
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, opened: type[Store]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, " * 100)

    with pytest.raises(StoreError, match="is not a scaling store: it is no SQLite file"):
        opened(path)

    assert path.read_text() == "these are my notes, " * 100


@OPENERS
def test_the_database_of_something_else_is_refused_and_left_alone(
    tmp_path: Path, opened: type[Store]
) -> None:
    path = tmp_path / "results.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE study (name TEXT)")
        connection.commit()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="something else made this SQLite file"):
        opened(path)

    assert path.read_bytes() == before


@OPENERS
def test_a_store_of_a_later_version_is_refused(tmp_path: Path, opened: type[Store]) -> None:
    path = tmp_path / "results.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(StoreError, match=r"later version of scaling \(schema 99"):
        opened(path)


@OPENERS
def test_a_damaged_store_is_refused(tmp_path: Path, opened: type[Store]) -> None:
    path = tmp_path / "results.db"
    Store(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    with pytest.raises(StoreError, match="is damaged"), opened(path) as store:
        store.studies()


@pytest.mark.parametrize("make", [None, Path.touch], ids=["missing", "empty"])
def test_a_reader_of_nothing_is_told_which_command_makes_a_store(
    tmp_path: Path, make: object
) -> None:
    path = tmp_path / "results.db"
    if callable(make):
        make(path)

    with pytest.raises(StoreError, match="`scaling run GRID`"):
        Store.read(path)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "reason",
    [
        "database or disk is full",
        "database is locked",
        "disk I/O error",
        "locking protocol",
        "unable to open database file",
    ],
)
def test_trouble_that_may_pass_is_told_from_the_rest(
    store: Store, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def wait(error: UnavailableError) -> bool:
        told.append(str(error))
        return len(told) < 3

    def fail(*_: object) -> NoReturn:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError(reason))

    store.when_unavailable = wait
    monkeypatch.setattr(recording, "start_attempt", fail)
    with pytest.raises(UnavailableError, match=reason):
        store.start_attempt("t")

    assert told == [f"{store.db}: {reason}"] * 3


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    for opened in (Store, Store.read):
        with pytest.raises(StoreError, match="is a folder, not a store"):
            opened(tmp_path)
    with pytest.raises(StoreError, match="does not exist"):
        Store(tmp_path / "missing" / "results.db")


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    path.touch()

    with Store(path) as store:
        assert store.studies() == []


def test_a_store_in_a_read_only_folder_can_be_read(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "results.db") as store:
        store.record_plan(plan)
    tmp_path.chmod(0o555)
    # Root, whom permissions do not stop, is told of them here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    before = sorted(tmp_path.iterdir())
    try:
        with Store.read(tmp_path / "results.db") as reader:
            assert len(reader.studies()) == 1
            assert sorted(tmp_path.iterdir()) == before
    finally:
        tmp_path.chmod(0o755)


def test_paths_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "a b?c#d%20e.db"

    Store(path).close()

    assert path.exists()
    assert Store.read(path).studies() == []


def test_the_store_imports_neither_torch_nor_ray_nor_pandas() -> None:
    program = "import scaling.store, sys; print({'torch', 'ray', 'pandas'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout == "set()\n", done.stderr
