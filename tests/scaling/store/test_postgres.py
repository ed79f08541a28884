"""What only a server can do to a store: refuse, go away, and come back."""

import sys

import pytest
from postgres_server import Server, schema_of
from store_plans import measurement, trial_id_of

from scaling.database import ServerURL
from scaling.errors import StoreError
from scaling.plan import Plan
from scaling.store import Store, UnavailableError, exists, last_holder
from scaling.store.tables import SCHEMA_VERSION

OPENERS = pytest.mark.parametrize("opened", [Store, Store.read], ids=["writing", "reading"])


def test_nothing_is_there_until_somebody_writes(postgres: Server) -> None:
    place = postgres.place()
    assert not exists(place)
    with pytest.raises(StoreError, match=r"there is no store at .*`scaling run GRID`"):
        Store.read(place)

    Store(place).close()

    assert exists(place)
    with Store.read(place) as reader:
        assert reader.studies() == []


@OPENERS
def test_tables_of_something_else_are_refused_and_left_alone(
    postgres: Server, opened: type[Store]
) -> None:
    place = postgres.place()
    postgres.execute("CREATE TABLE study (name TEXT)", schema_of(place))

    with pytest.raises(StoreError, match=r"tables of something else \(study\)"):
        opened(place)

    assert _tables(postgres, place) == {"study"}


@OPENERS
def test_a_store_of_a_later_version_is_refused(postgres: Server, opened: type[Store]) -> None:
    place = postgres.place()
    Store(place).close()
    postgres.execute("UPDATE scaling_store SET schema_version = 99", schema_of(place))

    with pytest.raises(StoreError, match=r"later version of scaling \(schema 99"):
        opened(place)


def test_a_table_that_is_gone_is_damage(postgres: Server) -> None:
    place = postgres.place()
    Store(place).close()
    postgres.execute("DROP TABLE curve; DROP TABLE measurement", schema_of(place))

    with pytest.raises(StoreError, match="is damaged"), Store.read(place) as reader:
        reader.studies()


@OPENERS
def test_what_the_server_says_is_one_message_without_the_password(
    postgres: Server, opened: type[Store]
) -> None:
    nowhere = ServerURL(postgres.url("public").secret.replace("/postgres?", "/nowhere?"))

    with pytest.raises(StoreError, match='database "nowhere" does not exist') as refusal:
        opened(nowhere)

    assert "tester:***@" in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_schema_that_is_not_there_is_named_as_the_reason(postgres: Server) -> None:
    with pytest.raises(StoreError, match="search_path names does not exist"):
        Store(postgres.url("missing"))


def test_a_missing_driver_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(StoreError, match=r"PostgreSQL needs psycopg.*scaling\[postgres\]"):
        Store.read(ServerURL("postgresql://me@host/lab"))


def test_two_stores_of_one_database_have_a_writer_each(postgres: Server) -> None:
    with Store(postgres.place()) as one, Store(postgres.place()) as other:
        assert one.studies() == other.studies() == []


def test_a_server_that_restarts_costs_nothing(postgres: Server, plan: Plan) -> None:
    trial_id = trial_id_of(plan, "cosine")
    told: list[str] = []

    def start_it(error: UnavailableError) -> bool:
        told.append(str(error))
        postgres.start()
        return True

    with Store(postgres.place()) as store:
        store.record_plan(plan)
        attempt = store.start_attempt(trial_id)
        with Store.read(store.db) as reader:
            postgres.stop()
            store.when_unavailable = start_it

            assert store.record(trial_id, attempt, [measurement(trial_id)]) == 1

            assert len(told) == 1
            assert len(reader.points()) == 1
        with pytest.raises(StoreError, match="is being written by process"):
            Store(store.db)


def test_a_writer_that_lost_its_connection_does_not_write_beside_another(
    postgres: Server, plan: Plan
) -> None:
    first = Store(postgres.place())
    first.record_plan(plan)
    assert isinstance(first.db, ServerURL)
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'",
        schema_of(first.db),
    )
    with Store(first.db) as second:
        with pytest.raises(StoreError, match=r"is being written by|was taken over by"):
            first.record_plan(plan)
        second.record_plan(plan)
    with pytest.raises(StoreError, match="was taken over by"):
        first.record_plan(plan)
    first.close()
    assert last_holder(second.db) is None


def test_who_died_is_told_from_who_writes(postgres: Server) -> None:
    with Store(postgres.place()) as store:
        assert isinstance(store.db, ServerURL)
        holder = last_holder(store.db)
        assert holder is not None
        assert holder.is_alive
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'",
            schema_of(store.db),
        )
        holder = last_holder(store.db)
        assert holder is not None
        assert holder.is_alive is False


def old_store(postgres: Server, plan: Plan) -> ServerURL:
    """A store of the first schema with one measurement."""
    place = postgres.place()
    trial_id = trial_id_of(plan, "cosine")
    with Store(place) as store:
        store.record_plan(plan)
        store.record(trial_id, store.start_attempt(trial_id), [measurement(trial_id)])
    for table, columns in {
        "attempt": "trained_samples trained_seconds began_trial began_samples_seen began_attempt "
        "began_sha256",
        "measurement": "epochs evaluation_set skipped_images",
        "checkpoint": "forced",
    }.items():
        for column in columns.split():
            postgres.execute(f"ALTER TABLE {table} DROP COLUMN {column}", schema_of(place))
    postgres.execute("UPDATE scaling_store SET schema_version = 1", schema_of(place))
    return place


def test_writing_brings_an_old_store_to_the_schema_of_a_fresh_one(
    postgres: Server, plan: Plan
) -> None:
    old, fresh = old_store(postgres, plan), postgres.place()
    Store(fresh).close()
    assert _columns(postgres, old) != _columns(postgres, fresh)

    Store(old).close()
    Store(old).close()  # once is enough

    assert _columns(postgres, old) == _columns(postgres, fresh)
    found = postgres.execute("SELECT schema_version FROM scaling_store", schema_of(old))
    assert found == [(SCHEMA_VERSION,)]


def test_reading_sees_the_same_and_leaves_the_old_store_as_it_is(
    postgres: Server, plan: Plan
) -> None:
    old = old_store(postgres, plan)
    before = _columns(postgres, old)
    with Store.read(old) as reader:
        found = reader.points()
        assert [point["epochs"] for point in found] == [None]
        assert _columns(postgres, old) == before

        Store(old).close()

        assert reader.points() == found
    with Store.read(old) as reader:
        assert reader.points() == found


def _tables(postgres: Server, place: ServerURL) -> set[str]:
    statement = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    return {name for (name,) in postgres.execute(statement, schema_of(place))}


def _columns(postgres: Server, place: ServerURL) -> set[tuple[object, ...]]:
    """Of each table; in no order, as a table's later columns stand at its end."""
    return set(
        postgres.execute(
            "SELECT table_name, column_name, data_type, is_nullable, collation_name "
            "FROM information_schema.columns WHERE table_schema = current_schema()",
            schema_of(place),
        )
    )
