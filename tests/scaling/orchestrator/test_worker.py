from pathlib import Path

import pytest
from small_plans import plan_of

from scaling.orchestrator.worker import Batch, Crash, Hello, attempt, without_torn_task
from scaling.trial import Checkpoint, CurvePoint, Event, Measurement, Progress, Trunk, Work

TRIAL = plan_of().trials[0].trial


def metric(name: str, task: str = "a", samples_seen: int = 64) -> Measurement:
    return Measurement(
        trial_id=TRIAL.id, samples_seen=samples_seen, task=task, metric=name, value=0.5
    )


POINT = CurvePoint(trial_id=TRIAL.id, samples_seen=64, loss=1.0)
PROGRESS = Progress(trial_id=TRIAL.id, samples_seen=64, loss=1.0, samples_per_second=1.0)
CHECKPOINT = Checkpoint(trial_id=TRIAL.id, samples_seen=64, path=Path("x"), sha256="", bytes=1)


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        ([], 0),
        ([POINT], 1),
        ([POINT, metric("x"), metric("y")], 1),
        ([metric("x"), metric("y"), POINT], 3),
        ([metric("x"), metric("x", task="b"), metric("y", task="b")], 1),
        ([metric("x"), metric("x", samples_seen=128)], 1),
    ],
)
def test_only_the_last_task_may_be_torn(events: list[Event], kept: int) -> None:
    assert without_torn_task(events) == tuple(events[:kept])


def test_batches_end_between_tasks_and_never_within_one(tmp_path: Path) -> None:
    assert isinstance(TRIAL, Trunk)
    work = Work(trial=TRIAL, stops=(), checkpoints=(), directory=tmp_path)

    messages = list(attempt("test_worker:scripted", work, tmp_path / "log"))

    assert isinstance(messages[0], Hello)
    assert messages[1:] == [
        Batch((POINT, CHECKPOINT)),
        Batch((metric("x"), metric("y"), PROGRESS)),
        Batch((metric("x", task="b"),)),
    ]
    assert not (tmp_path / "log").exists()


def test_an_exception_ends_an_attempt_without_its_last_task(tmp_path: Path) -> None:
    work = Work(trial=TRIAL, stops=(), checkpoints=(), directory=tmp_path)

    messages = list(attempt("test_worker:failing", work, tmp_path / "log"))

    assert messages[1:] == [
        Batch((POINT,)),
        Crash("oom", f"MemoryError: no room (traceback: {tmp_path / 'log'})", rows=64),
    ]
    assert "MemoryError: no room" in (tmp_path / "log").read_text()


def test_a_traceback_that_finds_no_room_does_not_change_what_is_said(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.symlink_to("/dev/full")
    work = Work(trial=TRIAL, stops=(), checkpoints=(), directory=tmp_path)

    *_, last = attempt("test_worker:failing", work, log)

    assert isinstance(last, Crash)
    assert last.kind == "oom"


def scripted(work: Work) -> "list[Event]":
    return [POINT, CHECKPOINT, metric("x"), metric("y"), PROGRESS, metric("x", task="b")]


def failing(work: Work) -> "object":
    yield from (POINT, metric("x"))
    raise MemoryError("no room")
