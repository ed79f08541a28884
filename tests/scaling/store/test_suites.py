"""Suites' values, from a store of real measurements that nothing but a driver has written."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from store_plans import measurement, plan_of

from scaling.errors import StoreError
from scaling.evals._suites import SUITES
from scaling.points import Selection, load_points
from scaling.store import Store

SHIFT = "imagenet_distribution_shift"
MEMBERS = tuple(SUITES[SHIFT].members)
LENGTHS = [1024 * 2**n for n in range(8)]

Value = Callable[[str, int, str], float | None]
"""Of a family, samples seen and a task; None if it was not measured."""


def stored(path: Path, value: Value, tasks: Sequence[str] = MEMBERS, metric: str = "acc1") -> Path:
    """A store in which every cosine trial measured `value` of `tasks` at its end."""
    plan = plan_of(samples_seen=LENGTHS, schedules=["cosine"], evaluate=[SHIFT])
    with Store(path) as store:
        store.record_plan(plan)
        for cell in plan.cells:
            trial, n = cell.trial.id, cell.samples_seen
            found = [(task, value(cell.family, n, task)) for task in tasks]
            attempt = store.start_attempt(trial)
            store.record(
                trial,
                attempt,
                [
                    measurement(trial, samples_seen=n, task=task, value=its, metric=metric)
                    for task, its in found
                    if its is not None
                ],
            )
    return path


def power_law(family: str, samples_seen: int, task: str) -> float:
    exponent = {"clip": 0.10, "mammut": 0.13}[family] + 0.01 * MEMBERS.index(task)
    return 1 - 0.9 * (samples_seen / 1024) ** -exponent


def without(task: str, *lengths: int) -> Value:
    return lambda family, n, its: (
        None if its == task and n in lengths else power_law(family, n, its)
    )


def test_a_suite_is_the_mean_of_its_members(tmp_path: Path) -> None:
    db = stored(tmp_path / "results.db", power_law)

    points, _ = load_points(db, Selection(task=SHIFT))

    assert len(points) == 2 * len(LENGTHS)
    assert set(points["task"]) == {SHIFT}
    assert set(points["metric"]) == {"acc1"}
    for row in points.to_dict("records"):
        its = [power_law(row["family"], row["samples_seen"], task) for task in MEMBERS]
        assert row["error"] == pytest.approx(1 - sum(its) / len(its), abs=1e-12)
    # It stands beside its members where no task is asked for, and is nowhere in the store.
    everything, _ = load_points(db, Selection())
    assert set(everything["task"]) == {SHIFT, *MEMBERS}
    assert len(load_points(db, Selection(metric="acc1"))[0]) == len(everything)
    with Store.read(db) as store:
        assert {row["task"] for row in store.points()} == set(MEMBERS)


def test_a_checkpoint_without_a_member_has_no_value(tmp_path: Path) -> None:
    db = stored(tmp_path / "results.db", without("objectnet", LENGTHS[0], LENGTHS[3]))

    points, _ = load_points(db, Selection(task=SHIFT))

    assert set(points["samples_seen"]) == set(LENGTHS) - {LENGTHS[0], LENGTHS[3]}


def test_members_of_different_checkpoints_are_not_mixed(tmp_path: Path) -> None:
    def scattered(family: str, n: int, task: str) -> float | None:
        return None if LENGTHS.index(n) % len(MEMBERS) == MEMBERS.index(task) else 0.5

    with pytest.raises(StoreError, match=r"no checkpoint has all of them; closest is .*1\.024K"):
        load_points(stored(tmp_path / "results.db", scattered), Selection(task=SHIFT))


def test_a_metric_of_members_is_no_metric_of_the_suite(tmp_path: Path) -> None:
    db = stored(tmp_path / "results.db", power_law)

    with pytest.raises(StoreError, match="unknown metric of imagenet_distribution_shift 'acc5'"):
        load_points(db, Selection(task=SHIFT, metric="acc5"))


def test_another_metric_makes_no_suite(tmp_path: Path) -> None:
    db = stored(tmp_path / "results.db", power_law, metric="acc5")

    with pytest.raises(StoreError, match="none of them was measured: imagenet_v2, imagenet_r"):
        load_points(db, Selection(task=SHIFT))


def test_what_was_recorded_under_the_name_of_the_suite_stays_alone(tmp_path: Path) -> None:
    """As imports have it; not even complete members make a second value."""
    db = stored(
        tmp_path / "results.db",
        lambda family, n, task: 0.125 if task == SHIFT else power_law(family, n, task),
        (*MEMBERS, SHIFT),
    )

    points, _ = load_points(db, Selection(task=SHIFT))

    assert len(points) == 2 * len(LENGTHS)
    assert set(points["error"]) == {0.875}


def test_a_name_that_is_not_there_is_said_before_members(tmp_path: Path) -> None:
    db = stored(tmp_path / "results.db", power_law)

    with pytest.raises(StoreError, match="unknown study 'smal'; did you mean 'small'"):
        load_points(db, Selection(study="smal", task=SHIFT))


def fit(db: Path) -> subprocess.CompletedProcess[str]:
    words = ["fit", "--compare", "clip", "mammut", "--task", SHIFT, "--refits", "100"]
    command = [sys.executable, "-m", "scaling", *words, "--db", str(db)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_suites_are_fitted(tmp_path: Path) -> None:
    done = fit(stored(tmp_path / "results.db", power_law))

    assert done.returncode == 0, done.stderr
    assert SHIFT in done.stdout
    assert "mammut" in done.stdout


def test_a_suite_without_a_value_is_one_message(tmp_path: Path) -> None:
    done = fit(stored(tmp_path / "results.db", without("objectnet", *LENGTHS)))

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "is the mean of 5 tasks at one checkpoint" in done.stderr
    assert "without objectnet (acc1)" in done.stderr
