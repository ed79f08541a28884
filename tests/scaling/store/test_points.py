import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert
from store_plans import measurement, plan_of, trial_id_of

from scaling.database import Database
from scaling.errors import ScalingError, StoreError
from scaling.plan import Plan
from scaling.points import Selection, load_points
from scaling.store import Store
from scaling.store.imports import read, record
from scaling.store.tables import MeasurementRow


@pytest.fixture
def measured(store: Store, plan: Plan) -> Store:
    """A store with two metrics of a cosine trial at its end, and one where no cell asks."""
    trial_id = trial_id_of(plan, "cosine")
    attempt = store.start_attempt(trial_id)
    events = [
        measurement(trial_id, metric="acc5", value=0.5),
        measurement(trial_id),
        measurement(trial_id, samples_seen=512),
    ]
    store.record(trial_id, attempt, events)
    return store


def test_points_are_the_measurements_of_cells(measured: Store, plan: Plan) -> None:
    profile = plan.trials[0].profile

    points = measured.points()

    assert [(point["metric"], point["value"]) for point in points] == [
        ("acc1", 0.25),
        ("acc5", 0.5),
    ]
    assert points[0] == {
        "study": "small",
        "dataset": "shapes",
        "schedule": "cosine",
        "task": "shapes_classification",
        "metric": "acc1",
        "family": "clip",
        "model": "tiny-a",
        "samples_seen": 1024,
        "seed": 0,
        "trial": trial_id_of(plan, "cosine"),
        "value": 0.25,
        "epochs": None,
        "evaluation_set": None,
        "skipped_images": None,
        "gflops_per_sample": profile.published_gflops,
        "params": profile.params,
    }
    assert measured.points(compute="full")[0]["gflops_per_sample"] == profile.full_gflops


def test_points_can_be_filtered(measured: Store) -> None:
    assert len(measured.points(study="small", metric="acc1", schedule=None)) == 1
    # Known names that never meet are no mistake.
    measured.record_plan(plan_of(study="other"))
    assert len(measured.points(study="other", family="clip")) == 2


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("study", "smal", "unknown study 'smal'; did you mean 'small'"),
        ("family", "mammut", r"unknown family 'mammut' \(known: clip\)"),
        ("task", "shapes_clasification", "did you mean 'shapes_classification'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(
    measured: Store, column: str, value: str, message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        measured.points(**{column: value})  # type: ignore[arg-type]


def test_a_store_without_measurements_says_which_command_makes_some(store: Store) -> None:
    with pytest.raises(StoreError, match="`scaling run GRID`"):
        store.points()


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_hundred_thousand_points_are_read_in_two_seconds(store: Store, plan: Plan) -> None:
    trial_id = trial_id_of(plan, "cosine")
    attempt = store.start_attempt(trial_id)
    same = {"trial_id": trial_id, "samples_seen": 1024, "metric": "acc1", "value": 0.5}
    with store.writing() as connection:
        rows = [{**same, "task": f"task-{i}", "attempt": attempt} for i in range(100_000)]
        connection.execute(insert(MeasurementRow), rows)

    began = time.process_time()
    points = store.points()

    assert len(points) == 100_000
    assert time.process_time() - began < 2


def test_main_metrics_are_read_where_a_study_has_them_and_all_where_not(
    measured: Store, db: Database, tmp_path: Path
) -> None:
    table = tmp_path / "losses.csv"
    table.write_text(
        "family,model,dataset,schedule,task,metric,value,samples_seen,gflops_per_sample\n"
        "clip,S,c4,cosine,lm,val_loss,2.5,1000,1\nclip,S,c4,cosine,lm,val_ppl,12,1000,1\n"
    )
    record(measured, read(table))

    everything, _ = load_points(db, Selection())
    every_metric, _ = load_points(db, Selection(metric="all"))

    assert list(zip(everything["study"], everything["metric"], strict=True)) == [
        ("losses", "val_loss"),
        ("losses", "val_ppl"),
        ("small", "acc1"),
    ]
    assert len(every_metric) == 4
    assert set(every_metric["metric"]) > set(everything["metric"])


def test_text_in_a_numbers_place_is_damage(measured: Store, db: Database) -> None:
    measured.close()
    if not isinstance(db, Path):
        return  # A server refuses to write it.
    with closing(sqlite3.connect(db)) as file, file:
        file.execute("UPDATE measurement SET value = 'much' WHERE metric = 'acc1'")

    with pytest.raises(ScalingError, match=r"is damaged:\n.* acc1: value is 'much', not a number"):
        load_points(db, Selection())
