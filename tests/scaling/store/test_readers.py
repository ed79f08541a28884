"""Readers and the writer do not wait for each other, whatever the store is kept in."""

import time

import pytest
from sqlalchemy import insert, select, text
from store_plans import measurement, trial_id_of

from scaling.errors import StoreError
from scaling.plan import Plan
from scaling.store import Store
from scaling.store.tables import MeasurementRow


def test_a_reader_sees_what_is_recorded_while_it_reads(store: Store, plan: Plan) -> None:
    trial_id = trial_id_of(plan, "cosine")
    with Store.read(store.db) as reader:
        assert reader.measured(trial_id) == set()
        store.record(trial_id, store.start_attempt(trial_id), [measurement(trial_id)])

        assert reader.measured(trial_id) == {(1024, "shapes_classification")}


def test_a_long_reader_stops_no_record_and_sees_none_of_it(store: Store, plan: Plan) -> None:
    trial_id = trial_id_of(plan, "cosine")
    attempt = store.start_attempt(trial_id)
    same = {"trial_id": trial_id, "samples_seen": 1024, "metric": "acc1", "value": 0.5}
    with store.writing() as connection:
        rows = [{**same, "task": f"task-{i}", "attempt": attempt} for i in range(5_000)]
        connection.execute(insert(MeasurementRow), rows)
    everything = select(MeasurementRow.task).execution_options(yield_per=100)

    with Store.read(store.db) as reader, reader._transaction() as reading:
        tasks = iter(reading.scalars(everything))
        seen = {next(tasks) for _ in range(100)}
        began = time.monotonic()
        for number in range(50):
            event = measurement(trial_id, metric=f"metric-{number}")
            store.record(trial_id, attempt, [event])
        seconds = time.monotonic() - began
        seen.update(tasks)
        others = reading.scalar(text("SELECT count(*) FROM measurement"))

    assert seconds < 5
    assert len(seen) == others == 5_000
    assert len(store.points()) == 5_050


def test_a_reader_cannot_write(store: Store) -> None:
    with (
        Store.read(store.db) as reader,
        pytest.raises(StoreError, match=r"read.?only"),
        reader._transaction() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM trial")
