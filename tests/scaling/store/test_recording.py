import math

import pytest
from sqlalchemy import select, text
from store_plans import checkpoint, curve_point, measurement, trial_id_of

from scaling.plan import Plan
from scaling.store import (
    Ending,
    Failure,
    FailureKind,
    RefusedError,
    Store,
    TrialState,
    Worker,
)
from scaling.store.tables import AttemptRow
from scaling.trial import Note, Throughput


@pytest.fixture
def trial_id(plan: Plan) -> str:
    return trial_id_of(plan, "cosine")


def rows(store: Store, table: str) -> list[tuple[object, ...]]:
    with store.writing() as connection:
        return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]


def test_recording_the_same_again_changes_nothing(store: Store, trial_id: str) -> None:
    attempt = store.start_attempt(trial_id)
    events = [checkpoint(trial_id), measurement(trial_id), curve_point(trial_id)]

    assert store.record(trial_id, attempt, events) == 1
    before = {table: rows(store, table) for table in ("checkpoint", "measurement", "curve")}
    assert store.record(trial_id, attempt, events + events) == 0

    assert before == {table: rows(store, table) for table in before}
    assert all(len(found) == 1 for found in before.values())


def test_a_second_value_for_a_measurement_is_refused(store: Store, trial_id: str) -> None:
    attempt = store.start_attempt(trial_id)
    store.record(trial_id, attempt, [measurement(trial_id, value=0.25)])

    with pytest.raises(RefusedError, match=r"acc1 is recorded: value is 0\.25 and cannot become"):
        store.record(trial_id, attempt, [measurement(trial_id, value=0.2500000001)])
    with pytest.raises(RefusedError, match="cannot become"):
        store.record(trial_id, store.start_attempt(trial_id), [measurement(trial_id, value=0.5)])

    assert [row[5] for row in rows(store, "measurement")] == [0.25]


def test_not_knowing_the_epochs_contradicts_nothing_and_other_epochs_do(
    store: Store, trial_id: str
) -> None:
    attempt = store.start_attempt(trial_id)
    store.record(trial_id, attempt, [measurement(trial_id, epochs=1.5)])

    assert store.record(trial_id, attempt, [measurement(trial_id)]) == 0
    with pytest.raises(RefusedError, match=r"epochs is 1\.5 and cannot become 2\.0"):
        store.record(trial_id, attempt, [measurement(trial_id, epochs=2.0)])

    assert [point["epochs"] for point in store.points()] == [1.5]


def test_a_measurement_says_on_what_it_was_made(store: Store, trial_id: str) -> None:
    attempt = store.start_attempt(trial_id)
    event = measurement(trial_id, evaluation_set="webdataset-1", skipped_images=2)
    store.record(trial_id, attempt, [event])

    (point,) = store.points()
    assert (point["evaluation_set"], point["skipped_images"]) == ("webdataset-1", 2)
    with pytest.raises(RefusedError, match="webdataset-1' and cannot become 'webdataset-2'"):
        store.record(trial_id, attempt, [measurement(trial_id, evaluation_set="webdataset-2")])


def test_what_comes_with_a_refused_event_is_not_recorded_either(
    store: Store, trial_id: str
) -> None:
    attempt = store.start_attempt(trial_id)
    store.record(trial_id, attempt, [measurement(trial_id)])

    with pytest.raises(RefusedError):
        store.record(
            trial_id,
            attempt,
            [measurement(trial_id, metric="acc5"), measurement(trial_id, value=0.75)],
        )

    assert len(rows(store, "measurement")) == 1


def test_a_stale_attempt_is_refused(store: Store, trial_id: str) -> None:
    stale = store.start_attempt(trial_id)
    latest = store.start_attempt(trial_id)

    with pytest.raises(RefusedError, match="attempt 1 is stale, attempt 2 has begun"):
        store.record(trial_id, stale, [measurement(trial_id)])
    with pytest.raises(RefusedError, match="stale"):
        store.finish(trial_id, stale, Ending("done", TrialState.COMPLETE))

    assert store.state(trial_id) is TrialState.RUNNING
    assert store.record(trial_id, latest, [measurement(trial_id)]) == 1


def test_a_later_attempt_replaces_checkpoints_and_curve_but_the_same_one_does_not(
    store: Store, trial_id: str
) -> None:
    first = store.start_attempt(trial_id)
    store.record(trial_id, first, [checkpoint(trial_id), curve_point(trial_id)])
    with pytest.raises(RefusedError, match="sha256"):
        store.record(trial_id, first, [checkpoint(trial_id, sha256="cd" * 32)])

    second = store.start_attempt(trial_id)
    store.record(
        trial_id, second, [checkpoint(trial_id, sha256="cd" * 32), curve_point(trial_id, loss=4.0)]
    )

    assert [found.sha256 for found in store.checkpoints(trial_id)] == ["cd" * 32]
    assert [row[3] for row in rows(store, "curve")] == [4.0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_a_number_is_refused(store: Store, trial_id: str, value: float) -> None:
    attempt = store.start_attempt(trial_id)

    with pytest.raises(RefusedError, match="not a number"):
        store.record(trial_id, attempt, [measurement(trial_id, value=value)])


def test_events_of_another_trial_are_refused(store: Store, plan: Plan, trial_id: str) -> None:
    attempt = store.start_attempt(trial_id)

    with pytest.raises(RefusedError, match="another trial"):
        store.record(trial_id, attempt, [measurement(trial_id_of(plan, "trunk"))])


def test_an_open_attempt_names_its_process_until_it_is_finished(
    store: Store, trial_id: str
) -> None:
    attempt = store.start_attempt(trial_id)
    store.set_worker(trial_id, attempt, Worker(host="here", pid=42, versions={"python": "3"}))

    there = store.recorded([trial_id])[trial_id].open_attempt
    assert there is not None
    assert (there.number, there.host, there.pid) == (1, "here", 42)

    failure = Failure(FailureKind.BUG, "ValueError: no")
    store.finish(
        trial_id, attempt, Ending("failed", TrialState.FAILED, failure), [measurement(trial_id)]
    )
    there_now = store.recorded([trial_id])[trial_id]
    assert there_now.open_attempt is None
    assert (there_now.state, there_now.failure) == (TrialState.FAILED, failure)
    assert there_now.measured == {(1024, "shapes_classification")}


def test_what_an_attempt_did_otherwise_than_asked_is_kept_with_it(
    store: Store, trial_id: str
) -> None:
    attempt = store.start_attempt(trial_id)
    store.set_worker(trial_id, attempt, Worker(host="here", pid=42, versions={"python": "3"}))

    for words in ("16 rows exceed the memory", "torch.compile failed", "torch.compile failed"):
        store.record(trial_id, attempt, [Note(trial_id=trial_id, text=words)])

    with store.writing() as connection:
        versions = connection.scalar(select(AttemptRow.versions))
    assert versions == {
        "python": "3",
        "notes": ["16 rows exceed the memory", "torch.compile failed"],
    }


def test_the_pace_of_attempts_is_summed_by_model_and_device(store: Store, plan: Plan) -> None:
    for kind, paces in (("cosine", [(640, 2.0), (1280, 4.0)]), ("trunk", [(320, 1.0)])):
        trial_id = trial_id_of(plan, kind)
        attempt = store.start_attempt(trial_id)
        store.set_worker(trial_id, attempt, Worker(host="a", pid=1, versions={"device": "H100"}))
        for samples, seconds in paces:  # each says what came together so far
            pace = Throughput(trial_id=trial_id, samples=samples, seconds=seconds)
            store.record(trial_id, attempt, [pace])
    assert store.start_attempt(trial_id) == 2  # has not trained anything yet

    (found,) = store.throughputs()

    assert (found.family, found.model, found.device) == ("clip", "tiny-a", "H100")
    assert (found.samples, found.seconds) == (1600, 5.0)
