"""What exports, lists and `scaling rm` ask, in every kind of database."""

from pathlib import Path

import pytest
from store_plans import checkpoint, curve_point, measurement, plan_of, trial_id_of

from scaling.errors import StoreError
from scaling.exports import COLUMNS, columns_of, write
from scaling.plan import Plan
from scaling.store import Ending, Store, TrialState, Worker
from scaling.store.imports import read, record


@pytest.fixture
def measured(store: Store, plan: Plan) -> str:
    """A cosine of 1,024 samples in `store` that was trained and measured."""
    trial_id = trial_id_of(plan, "cosine")
    attempt = store.start_attempt(trial_id)
    store.set_worker(trial_id, attempt, Worker(host="here", pid=1, versions={"torch": "2"}))
    events = [measurement(trial_id, epochs=0.5), checkpoint(trial_id), curve_point(trial_id)]
    store.finish(trial_id, attempt, Ending("done", TrialState.COMPLETE), events)
    return trial_id


def test_a_row_has_what_defines_it(store: Store, measured: str) -> None:
    (row,) = store.tidy({"state": ["complete"], "source": ["own"], "task": [], "family": ["clip"]})

    assert {*row} == {column.name for column in COLUMNS}
    assert (row["trial"], row["value"], row["error"], row["epochs"]) == (measured, 0.25, 0.75, 0.5)
    assert (row["state"], row["attempt"], row["versions"]) == ("complete", 1, '{"torch": "2"}')
    assert row["compute_gflops_full"] == row["gflops_per_sample_full"] * 1024
    with pytest.raises(StoreError, match="did you mean 'complete'"):
        list(store.tidy({"state": ["compete"]}))


def test_an_export_comes_back_into_the_same_store(
    store: Store, measured: str, tmp_path: Path
) -> None:
    for name in ("out.csv", "out.parquet", "out.json"):
        path = tmp_path / name
        assert (
            write(path, store.tidy({"study": ["small"]}), columns_of(git_friendly=False), {}) == 1
        )
        summary = record(store, read(path), study="copy")
        assert summary.imported == (name == "out.csv")
    here, there = store.points(study="small"), store.points(study="copy")
    for row in (*here, *there):
        del row["study"], row["trial"]
    assert here == there


def test_trials_are_listed_by_what_they_are_and_serve(store: Store, measured: str) -> None:
    (found,) = store.trials({"state": ["complete"]})
    assert (found["id"], found["attempts"], found["measurements"]) == (measured, 1, 1)
    every, serving = store.trials(), store.trials({"study": ["small"]})
    assert {trial["kind"] for trial in every} == {"cosine", "trunk", "cooldown"}
    assert len(serving) == sum(trial["kind"] != "trunk" for trial in every)


def test_everything_about_a_trial_is_found_by_the_beginning_of_its_id(
    store: Store, measured: str, plan: Plan
) -> None:
    found = store.dossier(measured[:-3])
    assert (found.trial["id"], len(found.attempts), found.curve) == (measured, 1, [(64, 4.5)])
    assert [cell["study"] for cell in found.cells] == ["small"]
    trunk = trial_id_of(plan, "trunk")
    assert len(store.dossier(trunk).children) == 2


def test_a_study_is_removed_whole_and_what_changed_meanwhile_is_not(
    store: Store, measured: str
) -> None:
    store.record_plan(plan_of(study="other", families=["mammut"]))
    before = store.removal("small")
    assert measured in before.trials
    assert len(before.checkpoints) == 1
    attempt = store.start_attempt(before.trials[0])
    with pytest.raises(StoreError, match="has changed"):
        store.remove(before)
    assert attempt

    store.remove(store.removal("small"))
    assert [study.name for study in store.studies()] == ["other"]
    assert {trial["family"] for trial in store.trials()} == {"mammut"}
    store.remove(store.removal("other"))
    assert store.trials() == []
