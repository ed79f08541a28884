import io
from pathlib import Path

import pytest
from rich.console import Console
from small_plans import Record, plan_of

from scaling.orchestrator import Lines, LocalExecutor, run_plan
from scaling.orchestrator.live import Live
from scaling.orchestrator.tally import Tally, Task
from scaling.store import Failure, FailureKind, Store, TrialState
from scaling.trial import Measurement, Note, Progress

PLANNED = plan_of().trials[0]
TRIAL = PLANNED.trial.id
OTHER = plan_of().trials[1]


def progress(samples_seen: int, rate: float = 100.0) -> Progress:
    return Progress(trial_id=TRIAL, samples_seen=samples_seen, loss=2.5, samples_per_second=rate)


def tasks() -> list[Task]:
    return [Task(PLANNED, start=0, end=1000), Task(OTHER, start=500, end=1000)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_counts_what_trials_take_beside_training() -> None:
    clock = Clock()
    tally = Tally(tasks(), done=0, clock=clock)
    assert tally.seconds_left() is None
    tally.state(TRIAL, TrialState.RUNNING)
    clock.now = 50.0  # A process that starts slowly does not make all others slow.
    tally.events([progress(0)])
    clock.now = 60.0
    tally.events([progress(500)])

    # At 100 samples/s 500 samples are 5 s, but 10 s went by: 1,000 samples are left, so 20 s.
    assert tally.seconds_left() == pytest.approx(20.0)
    tally.slots = 2
    assert tally.seconds_left() == pytest.approx(10.0)
    assert tally.fraction == pytest.approx(500 / 1500)


def test_models_that_have_not_run_are_timed_by_their_compute() -> None:
    plan = plan_of(models=["tiny-a", "tiny-d"], schedules=["cosine"], samples_seen=[640])
    small, large = plan.trials
    tally = Tally([Task(small, 0, 640), Task(large, 0, 640)], done=0, clock=Clock())
    tally.state(small.trial.id, TrialState.RUNNING)
    tally.events(
        [Progress(trial_id=small.trial.id, samples_seen=640, loss=1.0, samples_per_second=64.0)]
    )

    ratio = large.profile.lean_gflops / small.profile.lean_gflops
    assert tally.seconds_left() == pytest.approx(10 * ratio)


def test_lines_say_what_happened_to_which_trial() -> None:
    stream = io.StringIO()
    lines = Lines(stream)

    lines.begin(tasks(), 3, {"x": Failure(FailureKind.BUG, "no")})
    lines.ready(2)
    lines.state(TRIAL, TrialState.RUNNING, "attempt 1")
    lines.events(
        [
            Measurement(trial_id=TRIAL, samples_seen=1000, task="t", metric=m, value=0.25)
            for m in ("acc1", "acc5")
        ]
    )
    lines.events([Note(trial_id=TRIAL, text="torch.compile failed")])
    lines.state(TRIAL, TrialState.COMPLETE)
    lines.state(OTHER.trial.id, TrialState.FAILED, "ValueError: no (traceback: a.log)")
    lines.close()

    assert [line.partition(" ")[2] for line in stream.getvalue().splitlines()] == [
        "2 trials to do, 3 are complete; starting",
        "x bug in an earlier run: no",
        "2 trials at once",
        f"{TRIAL} running (attempt 1)",
        f"{TRIAL} at 1K: t acc1 0.25, acc5 0.25",
        f"{TRIAL}: torch.compile failed",
        f"{TRIAL} complete (1 of 2)",
        f"{OTHER.trial.id} failed: ValueError: no (traceback: a.log)",
    ]


def test_the_live_view_shows_what_runs_what_was_measured_and_what_failed() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    live = Live(console)
    live.begin(tasks(), 3, {})
    live.ready(1)
    live.state(TRIAL, TrialState.RUNNING)
    live.events([progress(250)])
    live.state(OTHER.trial.id, TrialState.FAILED, "ValueError: no (traceback: a.log)")
    live.events(
        [Measurement(trial_id=TRIAL, samples_seen=250, task="t", metric="acc1", value=0.25)]
    )
    with console.capture() as captured:
        console.print(live.frame())
    live.close()

    screen = captured.get()
    assert "1 running · 1 failed · 3 done before" in screen
    assert f"{TRIAL}" in screen
    assert "250/1K" in screen
    assert "2.500" in screen
    assert f"{TRIAL} at 250: t acc1 0.25" in screen
    assert f"{OTHER.trial.id} failed: ValueError: no (traceback: a.log)" in screen


def test_the_log_beside_the_store_has_a_line_for_every_event(tmp_path: Path) -> None:
    with Store(tmp_path / "results.db") as store:
        run_plan(
            plan_of(),
            store,
            checkpoints=tmp_path,
            executor=LocalExecutor("fake_trainer:train"),
            show=Record(),
        )

    lines = (tmp_path / "results.log").read_text().splitlines()
    assert sum(" running (attempt 1)" in line for line in lines) == 3
    assert sum(" complete (" in line for line in lines) == 3
    assert sum(": shapes_classification acc1 " in line for line in lines) == 2


def test_cooldowns_blocked_for_one_reason_are_counted() -> None:
    stream = io.StringIO()
    lines = Lines(stream, seconds_between_sums=0)
    trials = plan_of(samples_seen=[640, 1280, 2560, 5120]).trials
    lines.begin([Task(planned, start=0, end=1000) for planned in trials], 0, {})
    for planned in trials[1:4]:
        lines.state(planned.trial.id, TrialState.BLOCKED, "its trunk failed")
    lines.state(trials[4].trial.id, TrialState.RUNNING, "attempt 1")
    lines.tick()

    assert [line.partition(" ")[2] for line in stream.getvalue().splitlines()[1:]] == [
        f"{trials[1].trial.id} blocked: its trunk failed",
        "and 2 more blocked for the same reason",
        f"{trials[4].trial.id} running (attempt 1)",
        "1 running · 1 to do · 3 blocked · 60% of the compute · time left not known yet",
    ]


def test_why_nothing_starts_is_said_once_and_shown_as_long_as_it_holds() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.begin(tasks(), 0, {})
    lines.waiting("/data: 3 MiB free")
    lines.tick()
    lines.waiting("")
    assert [line[9:] for line in stream.getvalue().splitlines()[1:]] == [
        "nothing starts, what runs goes on: /data: 3 MiB free",
        "there is room: trials start again",
    ]

    console = Console(file=io.StringIO(), width=80, height=20, force_terminal=True)
    live = Live(console)
    for reason in ("/data: 3 MiB free", ""):
        live.waiting(reason)
        with console.capture() as picture:
            console.print(live.frame())
        assert ("/data: 3 MiB free" in picture.get()) == bool(reason)
