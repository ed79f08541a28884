"""`data/version-1.db` was written by `scaling run`, at the last commit whose schema was 1."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from store_plans import measurement

from scaling.store import Store
from scaling.store.tables import SCHEMA_VERSION

VERSION_1 = Path(__file__).parent / "data" / "version-1.db"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copy(VERSION_1, tmp_path / "results.db"))


def schema(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Version, and of each table the columns in their order.

    Without the lengths of text, which SQLite ignores: a later word for a failure is longer.
    """
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found = {
            name: [
                (*column[:2], column[2].partition("(")[0], *column[3:])
                for column in connection.execute(f"PRAGMA table_info({name})")
            ]
            for (name,) in tables.fetchall()
        }
        return {**found, "version": connection.execute("PRAGMA user_version").fetchall()}


def test_writing_brings_an_old_store_to_the_schema_of_a_fresh_one(
    old: Path, tmp_path: Path
) -> None:
    Store(tmp_path / "fresh.db").close()
    assert schema(old) != schema(tmp_path / "fresh.db")

    Store(old).close()
    Store(old).close()  # once is enough

    assert schema(old) == schema(tmp_path / "fresh.db")
    assert schema(old)["version"] == [(SCHEMA_VERSION,)]


def test_reading_sees_the_same_and_leaves_the_old_store_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with Store.read(old) as reader:
        found = reader.points()
        assert reader.studies()[0].measurements == len(found)
    assert old.read_bytes() == before

    Store(old).close()

    with Store.read(old) as reader:
        assert reader.points() == found
    assert len(found) == 6
    assert {point["epochs"] for point in found} == {None}
    assert found[0]["value"] == 0.01


def test_a_reader_that_was_there_before_goes_on_after_the_migration(old: Path) -> None:
    with Store.read(old) as reader:
        found = reader.points()
        with Store(old) as store:
            trial_id = found[0]["trial"]
            attempt = store.start_attempt(trial_id)
            event = measurement(trial_id, samples_seen=256, metric="new", epochs=1.5)
            store.record(trial_id, attempt, [event])

        assert len(reader.points()) == len(found) + 1
        assert reader.points(metric="new")[0]["epochs"] == 1.5


def test_a_migrated_store_takes_measurements_with_epochs(old: Path) -> None:
    with Store(old) as store:
        trial_id = store.points()[0]["trial"]
        attempt = store.start_attempt(trial_id)
        again = measurement(trial_id, samples_seen=256, value=0.01, epochs=1.0)
        other = measurement(trial_id, samples_seen=256, metric="acc2", epochs=1.0)

        assert store.record(trial_id, attempt, [again, other]) == 1
        assert store.points(metric="acc2")[0]["epochs"] == 1.0
        assert store.points(metric="acc1")[0]["epochs"] is None
