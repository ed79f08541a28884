import pytest
from store_plans import measurement, plan_of, trial_id_of

from scaling.errors import StoreError
from scaling.plan import Plan
from scaling.store import Ending, Store, TrialState


def test_recording_a_plan_again_changes_nothing(store: Store, plan: Plan) -> None:
    before = store.studies(), store.counts("small")

    store.record_plan(plan)

    assert (store.studies(), store.counts("small")) == before
    assert store.studies()[0].cells == len(plan.cells) == 8
    assert store.counts("small") == {TrialState.PENDING: len(plan.trials)}


def test_cells_that_vanish_from_a_grid_are_kept_but_no_longer_wanted(
    store: Store, plan: Plan
) -> None:
    trial_id = trial_id_of(plan, "cosine")
    attempt = store.start_attempt(trial_id)
    store.finish(trial_id, attempt, Ending("done", TrialState.COMPLETE), [measurement(trial_id)])
    assert [point["trial"] for point in store.points()] == [trial_id]

    store.record_plan(plan_of(schedules=["const-cooldown"]))
    assert store.points() == []
    assert store.studies()[0].cells == 4

    store.record_plan(plan)
    assert [point["trial"] for point in store.points()] == [trial_id]


def test_a_trial_is_shared_by_the_studies_that_want_it(store: Store, plan: Plan) -> None:
    trial_id = trial_id_of(plan, "cosine")
    attempt = store.start_attempt(trial_id)
    store.record(trial_id, attempt, [measurement(trial_id)])

    store.record_plan(plan_of(study="other", schedules=["cosine"]))

    assert [point["study"] for point in store.points()] == ["small", "other"] or [
        point["study"] for point in store.points()
    ] == ["other", "small"]


def test_a_sweep_gives_a_cell_several_trials(store: Store) -> None:
    recipe = {"batch_size": 64, "learning_rate": [1e-3, 2e-3], "warmup": "256 samples"}
    plan = plan_of(study="sweep", schedules=["cosine"], families=["clip"], recipes=[recipe])

    store.record_plan(plan)

    assert store.counts("sweep") == {TrialState.PENDING: 4}


def test_the_trunks_of_cooldowns_count_to_their_study(store: Store) -> None:
    store.record_plan(plan_of(study="other", schedules=["const-cooldown"], families=["clip"]))

    assert store.counts("other") == {TrialState.PENDING: 3}


def test_a_grid_does_not_mix_with_imported_measurements(store: Store) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO study (name, source, created) VALUES ('published', 'import', 'now')"
        )

    with pytest.raises(StoreError, match="'published' is there already and holds imported"):
        store.record_plan(plan_of(study="published"))
