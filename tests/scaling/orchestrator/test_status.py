"""`scaling status` and `scaling logs`, while a run goes on and after it ended or was killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_plans import Record, Runs, plan_of

from scaling.cli.app import main
from scaling.orchestrator import LocalExecutor, run_plan
from scaling.orchestrator.events import EventLog, events_path, read_events
from scaling.orchestrator.status import read_status
from scaling.store import Store, TrialState
from scaling.trial import Event, Progress

TRUNK, *COOLDOWNS = (planned.trial.id for planned in plan_of().trials)


class Onlooker(Record):
    """Asks for the status when the first progress is told."""

    def __init__(self, db: Path) -> None:
        super().__init__()
        self.db = db
        self.seen: dict[str, object] = {}

    def tick(self) -> None:
        if self.found and not self.seen:
            found = read_status(self.db)
            assert found.driver is not None
            self.seen = {
                "alive": found.driver.is_alive,
                "pid": found.driver.pid,
                "states": found.overview.states,
                "attempts": [(its.trial_id, its.attempt) for its in found.overview.running],
                "said": [trial["trial"] for trial in found.running],
            }


def failed_run(here: Runs) -> None:
    """The longer cooldown fails; everything else is complete."""
    here.mischief(**{"cooldown-1.28K": {"do": "raise", "at": 1280}})
    here.run(plan_of())


def status(db: Path, *words: str) -> None:
    main(["status", "--db", str(db), *words])


def test_status_is_known_to_others_while_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaling.orchestrator.status_file.SECONDS_BETWEEN", 0)
    look = Onlooker(tmp_path / "results.db")
    with Store(look.db) as store:
        executor = LocalExecutor("fake_trainer:train")
        run_plan(plan_of(), store, checkpoints=tmp_path, executor=executor, show=look)

    assert look.seen == {
        "alive": True,
        "pid": os.getpid(),
        "states": {"clip": {TrialState.RUNNING: 1, TrialState.PENDING: 2}},
        "attempts": [(TRUNK, 1)],
        "said": [TRUNK],
    }
    after = read_status(look.db)
    assert after.driver is not None
    assert (after.driver.state, after.running) == ("ended", [])


def test_status_names_failures_and_their_logs(
    here: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    failed_run(here)
    with pytest.raises(SystemExit, match="0"):
        status(here.db, "--json")
    said = json.loads(capsys.readouterr().out)

    assert said["driver"]["state"] == "ended"
    assert said["states"] == {"clip": {"complete": 2, "failed": 1}}
    (failure,) = said["failed"]
    assert (failure["trial"], failure["kind"], failure["attempt"]) == (COOLDOWNS[1], "bug", 1)
    assert "a bug in the trainer" in Path(failure["log"]).read_text()
    assert {found["trial_id"] for found in said["measurements"]} == {COOLDOWNS[0]}

    with pytest.raises(SystemExit, match="0"):
        status(here.db)
    screen = capsys.readouterr().out
    assert f"{COOLDOWNS[0]} at 640: shapes_classification acc1" in screen
    assert f"{COOLDOWNS[1]} failed (bug)" in " ".join(screen.split())


def test_an_unknown_study_is_named_with_the_nearest(
    here: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    here.run(plan_of())
    with pytest.raises(SystemExit, match="2"):
        status(here.db, "--study", "smal")
    assert "did you mean 'small'?" in capsys.readouterr().err


def test_a_killed_driver_is_told_from_one_that_ended(
    here: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    here.mischief(trunk={"do": "kill", "at": 640})
    driver = Path(__file__).with_name("driver.py")
    subprocess.run(
        [sys.executable, driver, here.db, "local", "fake_trainer:train"],
        check=False,
        cwd=driver.parent,
    )

    with pytest.raises(SystemExit, match="0"):
        status(here.db)
    screen = " ".join(capsys.readouterr().out.split())
    assert "was killed about" in screen
    assert "1 trial is unfinished; `scaling run` goes on from the last checkpoints" in screen


def test_logs_prints_the_traceback_of_a_trial_by_the_beginning_of_its_id(
    here: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    failed_run(here)
    for words in ([], ["--follow"]):
        with pytest.raises(SystemExit, match="0"):
            main(["logs", COOLDOWNS[1][:-8], "--db", str(here.db), *words])
        assert "ValueError: a bug in the trainer" in capsys.readouterr().out

    with pytest.raises(SystemExit, match="2"):
        main(["logs", "clip", "--db", str(here.db)])
    assert "3 trials begin with 'clip'" in capsys.readouterr().err


def test_events_have_a_documented_shape_and_are_printed_by_trial(
    here: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    failed_run(here)
    events = list(read_events(here.db))

    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["run"] for event in events}) == 1
    kinds = {event["kind"] for event in events}
    assert kinds == {"begin", "ready", "state", "progress", "checkpoint", "measurement", "end"}
    measured = [event for event in events if event["kind"] == "measurement"]
    with Store.read(here.db) as store:
        values = {(its["trial"], its["metric"]): its["value"] for its in store.points()}
    assert {(its["trial"], its["metric"]): its["value"] for its in measured} == values
    assert {its["attempt"] for its in measured} == {1}

    with pytest.raises(SystemExit, match="0"):
        main(["logs", TRUNK, "--events", "--db", str(here.db)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [its["state"] for its in lines if its["kind"] == "state"] == ["running", "complete"]


def test_events_are_set_aside_when_they_grow_and_torn_lines_are_left_out(tmp_path: Path) -> None:
    db = tmp_path / "results.db"
    log = EventLog(db, largest_bytes=2000)
    log.begin([], 0, {})
    for number in range(60):
        log.state(f"trial-{number}", TrialState.RUNNING, attempt=1)
    assert [its.get("trial") for its in read_events(db)][-30:] == [
        f"trial-{number}" for number in range(30, 60)
    ]
    assert len(list(tmp_path.glob("*.jsonl"))) == 4
    assert all(path.stat().st_size < 2500 for path in tmp_path.glob("*.jsonl"))

    with events_path(db).open("a") as file:
        file.write('{"time": "2026-')
    EventLog(db).begin([], 0, {})
    assert [its["kind"] for its in read_events(db)][-2:] == ["state", "begin"]


def test_progress_is_written_once_a_while_and_as_json(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "results.db")
    found: list[Event] = [
        Progress(trial_id="x", samples_seen=n, loss=float("nan"), samples_per_second=1.0)
        for n in range(100)
    ]
    log.events(found)
    (event,) = read_events(tmp_path / "results.db")
    assert (event["samples_seen"], event["loss"]) == (0, None)
