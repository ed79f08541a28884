"""Runs that are stopped or killed, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_trainer import METRICS
from small_plans import GRID, Runs, counts, plan_of

from scaling.orchestrator import LocalExecutor
from scaling.orchestrator.reaper import is_marked, is_of_session, processes
from scaling.store import Store, TrialState, Worker

FOLDER = Path(__file__).parent
Popen = subprocess.Popen


@pytest.fixture
def stopped(tmp_path: Path) -> Runs:
    """The runs that a driver of its own makes, and this process goes on with."""
    return Runs(tmp_path / "stopped", LocalExecutor)


def start(runs: Runs, executor: str, *trainer_and_grid: str) -> "Popen[str]":
    """A driver in a process group of its own, as a shell would start it."""
    words = [sys.executable, str(FOLDER / "driver.py"), str(runs.db), executor]
    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
    return Popen(
        [*words, *(trainer_and_grid or ["fake_trainer:train"])],
        env={**os.environ, "PYTHONPATH": path, "SCALING_TEST_DRIVER": str(runs.db)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def await_line(driver: "Popen[str]", part: str) -> None:
    assert driver.stderr
    for line in driver.stderr:
        if part in line:
            return
    pytest.fail(f"no line with {part!r}")


def started_by(driver: "Popen[str]") -> list[int]:
    """The driver, if it lives, and all that it began."""
    mark = f"SCALING_TEST_DRIVER={driver.args[2]}".encode()  # type: ignore[index]
    return processes(lambda pid: is_marked(pid, mark) or is_of_session(pid, driver.pid))


@pytest.mark.ray
def test_processes_of_a_killed_driver_end_with_it(stopped: Runs) -> None:
    stopped.mischief(trunk={"at": 128, "do": "kill", "times": 1})
    driver = start(stopped, "ray")
    await_line(driver, "its worker died")
    assert len(started_by(driver)) > 5
    time.sleep(1)  # Ray says more about it, and is not to say it on stdout.

    driver.kill()
    driver.wait()
    killed = time.monotonic()
    while started_by(driver) and time.monotonic() < killed + 5:
        time.sleep(0.01)

    assert time.monotonic() - killed < 2
    out, err = driver.communicate()
    assert out == ""
    assert "raylet" not in err


@pytest.mark.parametrize(
    ("executor", "number"),
    [
        ("local", signal.SIGTERM),
        ("local", signal.SIGINT),
        pytest.param("ray", signal.SIGINT, marks=pytest.mark.ray),
    ],
)
def test_a_signal_stops_cleanly_and_the_next_run_goes_on(
    stopped: Runs, here: Runs, executor: str, number: signal.Signals
) -> None:
    here.run(plan_of())
    stopped.mischief(clip={"do": "wait"})
    driver = start(stopped, executor)
    await_line(driver, "running")
    time.sleep(0.5)
    assert len(started_by(driver)) > (5 if executor == "ray" else 0)

    # Ctrl-C on a terminal goes to all processes of the group.
    os.killpg(driver.pid, number)
    out, err = driver.communicate(timeout=30)

    assert driver.returncode == 130, err
    assert "3 not finished" in out
    assert "run the same command again to go on" in out
    assert "Traceback" not in err
    assert started_by(driver) == []
    with Store.read(stopped.db) as store:
        assert store.counts("small") == {TrialState.PENDING: 3}
    (stopped.checkpoints / "mischief.json").unlink()
    stopped.run(plan_of())
    assert stopped.results() == here.results()


@pytest.mark.parametrize(
    "order",
    [
        {"trunk": {"at": 64, "do": "kill", "times": 1}},
        {"trunk": {"at": 832, "do": "kill", "times": 1}},
        {"cooldown-640": {"at": 640, "metric": "acc5", "do": "kill", "times": 1}},
    ],
    ids=["before any checkpoint", "after one", "between two metrics"],
)
def test_a_killed_driver_loses_nothing_and_doubles_nothing(
    stopped: Runs, here: Runs, order: dict[str, object]
) -> None:
    here.run(plan_of())
    stopped.mischief(**order)  # type: ignore[arg-type]
    driver = start(stopped, "local")
    driver.communicate(timeout=30)
    assert driver.returncode == -signal.SIGKILL

    outcome = stopped.run(plan_of())

    assert outcome.failed == outcome.blocked == 0
    assert stopped.results() == here.results()


def test_a_second_driver_is_refused_and_the_first_goes_on(stopped: Runs, here: Runs) -> None:
    long = {"samples_seen": [64000]}
    here.run(plan := plan_of(**long))
    stopped.mischief(trunk={"do": "wait"})
    driver = start(stopped, "local", "fake_trainer:train", json.dumps(long))
    await_line(driver, "running")
    grid = stopped.db.with_name("grid.yaml")
    grid.write_text(json.dumps({**GRID, **long}))
    words = [str(grid), "--db", str(stopped.db), "--executor", "local"]

    second = subprocess.run(
        [sys.executable, "-m", "scaling", "run", *words], capture_output=True, text=True
    )

    assert second.returncode == 2
    assert f"is being written by process {driver.pid} on" in second.stderr
    assert "Traceback" not in second.stderr
    (stopped.checkpoints / "mischief.json").unlink()
    _, err = driver.communicate(timeout=30)
    assert driver.returncode == 0, err
    assert stopped.results() == here.results()
    with Store.read(stopped.db) as store:
        assert {store.known_trial(p.trial.id).attempts for p in plan.trials} == {1}


@pytest.fixture
def half_recorded(stopped: Runs) -> Runs:
    """A trial whose worker had found everything when its driver died without a record of it."""
    stopped.run(plan_of())
    with Store(stopped.db) as store, store.writing() as connection:
        for table in ("measurement", "curve", "checkpoint"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE trial_id LIKE '%trunk%'")
        connection.exec_driver_sql(
            "UPDATE attempt SET ended = NULL, outcome = NULL WHERE trial_id LIKE '%trunk%'"
        )
        connection.exec_driver_sql("UPDATE trial SET state = 'running' WHERE kind = 'trunk'")
    return stopped


def test_the_journal_of_a_lost_attempt_is_replayed(half_recorded: Runs, here: Runs) -> None:
    here.run(plan_of())

    assert counts(half_recorded.run(plan_of())) == (0, 3, 0, 0, 0)

    assert half_recorded.results() == here.results()


def test_a_journal_counts_for_no_checkpoint_whose_file_is_gone(half_recorded: Runs) -> None:
    for path in half_recorded.directory("trunk").glob("1024-*.pt"):
        path.write_bytes(b"torn")

    half_recorded.run(plan_of())

    with Store.read(half_recorded.db) as store:
        trunk = half_recorded.directory("trunk").name
        assert [found.samples_seen for found in store.checkpoints(trunk)] == [512]


def test_a_damaged_journal_costs_only_its_own_results(half_recorded: Runs, here: Runs) -> None:
    here.run(plan_of())
    (journal,) = half_recorded.directory("trunk").glob("journal-*.jsonl")
    journal.write_text("{}\n" + journal.read_text())

    outcome = half_recorded.run(plan_of(samples_seen=[640, 1280, 1920]))

    assert outcome.failed == 0
    assert set(here.results()) <= set(half_recorded.results())


def test_the_journal_of_another_store_counts_for_nothing(stopped: Runs, here: Runs) -> None:
    here.run(plan_of())
    stopped.run(plan_of())
    for path in stopped.db.parent.glob("results.db*"):
        path.unlink()
    (journal,) = stopped.directory("cooldown-640").glob("journal-*.jsonl")
    journal.write_text(journal.read_text().replace('"value": 0.', '"value": 0.1'))

    assert counts(stopped.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))

    assert stopped.results() == here.results()
    assert len(journal.read_text().splitlines()) == 2 + 1 + len(METRICS)


def test_a_worker_that_outlives_its_driver_is_waited_for(half_recorded: Runs) -> None:
    worker = Popen([sys.executable, "-c", "import time; time.sleep(1.5)"])
    time.sleep(0.1)
    with Store(half_recorded.db) as store:
        trunk = half_recorded.directory("trunk").name
        attempt = store.start_attempt(trunk)
        store.set_worker(
            trunk, attempt, Worker(host=os.uname().nodename, pid=worker.pid, versions={})
        )

    began = time.monotonic()
    half_recorded.run(plan_of())

    assert time.monotonic() - began > 0.5
    worker.wait()


def test_nothing_to_do_needs_no_ray(stopped: Runs) -> None:
    stopped.run(plan_of())

    driver = start(stopped, "ray")
    out, err = driver.communicate(timeout=30)

    assert out == "nothing to do: all 3 trials are complete\nFalse\n", err
    assert err == ""
