import json

import pytest
from small_plans import Runs, plan_of
from test_retries import attempts
from typer.testing import CliRunner

from scaling.cli.app import app
from scaling.points import Selection, load_points
from scaling.store import FailureKind, Store, TrialState
from scaling.sweeps import diverged_in_words, in_words, taken

RATES = [1e-3, 2e-3, 4e-3]
SWEEP = {
    "schedules": ["cosine"],
    "samples_seen": [640, 1280],
    "recipes": [{"batch_size": 64, "learning_rate": RATES, "warmup": "64 samples"}],
}


def test_a_cell_has_the_number_of_its_best_member(here: Runs) -> None:
    here.run(plan_of(**SWEEP))
    found = here.results()

    points, _ = load_points(here.db, Selection(metric="all"))

    assert len(points) == 4
    for point in points.to_dict("records"):
        values = {
            trial: value
            for trial, seen, _, metric, value in found
            if (seen, metric) == (point["samples_seen"], point["metric"])
            and f"cosine-{seen}" in str(trial).replace("1.28K", "1280")
        }
        assert point["members"] == len(values) == len(RATES)
        assert point["error"] == pytest.approx(1 - max(values.values()))  # type: ignore[type-var]
        assert values[point["trial"]] == max(values.values())  # type: ignore[type-var]
    assert in_words(taken(points)).startswith("Sweeps: 4 numbers are the best of 12 measured")
    json.dumps(taken(points))


def test_a_member_whose_rate_is_too_high_diverges_once_and_gives_no_number(here: Runs) -> None:
    recipe = {"batch_size": 64, "precision": "fp32", "warmup": "64 samples"}
    plan = plan_of(
        schedules=["cosine"],
        samples_seen=[640],
        recipes=[{**recipe, "learning_rate": [1e-3, 1e30]}],
    )

    for number in range(2):
        outcome = here.run(plan, "scaling.train:train", retry=False)
        assert (outcome.done + outcome.already_done, outcome.failed) == (1, 1), number

    assert sorted(ended for _, ended, _ in attempts(here)) == ["diverged", "done"]
    with Store.read(here.db) as store:
        assert store.counts("small") == {TrialState.COMPLETE: 1, TrialState.DIVERGED: 1}
        (member,) = store.overview().failed
    assert member.failure is not None
    assert member.failure.kind is FailureKind.DIVERGED
    assert "samples seen; a lower learning rate" in member.failure.text
    points, _ = load_points(here.db, Selection(metric="acc1"))
    assert len(points) == 1
    assert member.trial_id not in set(points["trial"])


def test_a_grid_without_a_sweep_has_one_member_a_cell(here: Runs) -> None:
    here.run(plan_of())

    points, _ = load_points(here.db, Selection(metric="all"))

    assert set(points["members"]) == {1}
    assert in_words(taken(points)) == ""


def test_fit_names_the_members_that_gave_the_numbers(here: Runs) -> None:
    lengths = [640 * 2**n for n in range(6)]
    plan = plan_of(**{**SWEEP, "samples_seen": lengths})
    lost = plan.trials[0].trial.id
    here.mischief(**{lost: {"at": 640, "do": "diverge"}})
    here.run(plan)
    with Store(here.db) as store, store.writing() as connection:
        # What the fake trainer measures follows no law.
        for length in lengths:
            connection.exec_driver_sql(
                "UPDATE measurement SET value = ? WHERE samples_seen = ?",
                (1 - 3 * length**-0.25, length),
            )
    words = ["fit", "--db", str(here.db), "--refits", "100", "--metric", "acc1", "--no-calibrate"]

    done = CliRunner().invoke(app, [*words, "--json"])

    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [cell["samples_seen"] for cell in report["sweeps"]] == lengths
    assert [cell["members"] for cell in report["sweeps"]] == [2, 3, 3, 3, 3, 3]
    assert report["diverged"] == [lost]
    assert f"no fit knows of them ({lost})" in diverged_in_words(report["diverged"])
