from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fake_trainer import steps
from small_plans import Runs, everything, plan_of

from scaling.errors import ScalingError
from scaling.orchestrator import Budget, parse_deadline
from scaling.orchestrator.allowance import Allowance
from scaling.orchestrator.pace import Pace
from scaling.orchestrator.remaining import Remaining
from scaling.store import Measured, Store, TrialState
from scaling.trial import Checkpoint, Stop

PLAN = plan_of()
TRUNK = PLAN.trials[0]
GFLOPS = TRUNK.profile.published_gflops
NOW = datetime(2026, 5, 1, 12).astimezone()


def samples_trained(runs: Runs) -> int:
    return 64 * sum(len(steps(path)) for path in runs.checkpoints.iterdir() if path.is_dir())


@pytest.mark.parametrize(
    ("samples", "trained"),
    [(511, 0), (512, 512), (700, 640), (1151, 1024), (1152, 1152), (1407, 1280), (1408, 1408)],
)
def test_a_budget_of_gflops_is_used_as_far_as_whole_checkpoints_go_and_never_exceeded(
    here: Runs, samples: int, trained: int
) -> None:
    outcome = here.run(PLAN, budget=Budget(gflops=samples * GFLOPS))

    # The trunk goes to 512 and to 1024; the cooldowns from there take 128 and 256 more.
    assert samples_trained(here) == trained
    assert outcome.exit_code == (0 if trained == 1408 else 3)
    assert (outcome.beyond_budget == 0) == (trained == 1408)
    assert "forward GFLOPs spent" in str(outcome)


def test_the_next_run_goes_on_and_finds_what_one_run_finds(here: Runs) -> None:
    here.run(PLAN, budget=Budget(gflops=600 * GFLOPS))
    with Store.read(here.db) as store:
        assert store.counts("small") == {TrialState.PENDING: 3}

    outcome = here.run(PLAN)

    assert outcome.exit_code == 0
    # Nothing was trained twice.
    assert samples_trained(here) == 1408


def test_real_trials_stay_within_a_budget_too(here: Runs) -> None:
    recipe = {"batch_size": 16, "learning_rate": 1e-3, "warmup": "16 samples", "precision": "fp32"}
    plan = plan_of(recipes=[recipe], samples_seen=[80, 160])
    (whole,) = {sum(planned.samples for planned in plan.trials)}

    outcome = here.run(
        plan, trainer="scaling.train:train", budget=Budget(gflops=(whole - 1) * GFLOPS)
    )

    assert outcome.exit_code == 3
    with Store.read(here.db) as store:
        trained = sum(
            max((c.samples_seen for c in store.checkpoints(i.trial.id)), default=0)
            - (i.branch[1] if i.branch else 0)
            for i in plan.trials
            if store.checkpoints(i.trial.id)
        )
    assert 0 < trained < whole


def test_what_an_attempt_lost_stays_spent_to_the_checkpoint_that_it_did_not_reach() -> None:
    survey = everything(PLAN)
    left = survey.left[TRUNK.trial.id]
    allowance = Allowance(Budget(gflops=1100 * GFLOPS), survey.left)
    stops = allowance.begin(TRUNK, left)
    assert stops == TRUNK.stops
    saved = Checkpoint(
        trial_id=TRUNK.trial.id, samples_seen=512, path=Path("a"), sha256="", bytes=1
    )
    allowance.saw([saved])

    allowance.end(TRUNK.trial.id, left)

    # 1,024 are spent: it died between 512 and 1,024.
    assert allowance.next(TRUNK) is None
    assert f"{1024 * GFLOPS:,.3g} of" in str(allowance)


def test_trials_that_run_have_taken_their_compute_already() -> None:
    plan = plan_of(schedules=["cosine"], samples_seen=[640, 1280])
    short, long = plan.trials
    survey = everything(plan)
    allowance = Allowance(Budget(gflops=1300 * GFLOPS), survey.left)

    assert allowance.next(long)
    allowance.begin(short, survey.left[short.trial.id])
    assert allowance.next(long) is None


@pytest.mark.parametrize(
    "budget",
    [
        lambda seconds: Budget(deadline=NOW + timedelta(seconds=seconds)),
        lambda seconds: Budget(gpu_hours=seconds / 3600),
    ],
    ids=["deadline", "GPU-hours"],
)
def test_no_trial_starts_that_cannot_reach_its_next_checkpoint_in_time(
    budget: Callable[[float], Budget],
) -> None:
    survey = everything(PLAN)
    measured = Measured(
        family="clip", model="tiny-a", device="cpu", samples=1000, seconds=10.0, latest="2026"
    )
    pace = Pace(PLAN.trials, [measured])  # 100 samples/s: 5.12 s to the first stop.

    def allowance(seconds: float) -> Allowance:
        return Allowance(budget(seconds), survey.left, pace, clock=NOW.timestamp)

    assert allowance(5.0).next(TRUNK) is None
    assert allowance(5.2).next(TRUNK)
    assert allowance(5.2).begin(TRUNK, survey.left[TRUNK.trial.id]) == TRUNK.stops[:1]
    assert allowance(10.3).begin(TRUNK, survey.left[TRUNK.trial.id]) == TRUNK.stops


@pytest.mark.parametrize(("hours", "end"), [(1.0, 3540), (0.01, 32.4)])
def test_the_last_of_the_gpu_hours_is_for_saving_what_runs(hours: float, end: float) -> None:
    now = 0.0
    survey = everything(PLAN)
    allowance = Allowance(Budget(gpu_hours=hours), survey.left, clock=lambda: now)
    assert not allowance.is_over
    allowance.begin(TRUNK, survey.left[TRUNK.trial.id])

    now = end - 0.1
    assert not allowance.must_save
    now = end + 0.1
    assert allowance.must_save
    assert allowance.is_over


def test_a_deadline_stops_what_runs_and_the_next_run_goes_on(here: Runs) -> None:
    here.mischief(trunk={"do": "wait"})
    deadline = datetime.now().astimezone() + timedelta(seconds=0.45)

    outcome = here.run(PLAN, budget=Budget(deadline=deadline))

    assert outcome.exit_code == 3
    assert outcome.beyond_budget >= 1
    assert "deadline" in str(outcome)
    assert here.run(PLAN).exit_code == 0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("6h", NOW + timedelta(hours=6)),
        ("+1d12h30m", NOW + timedelta(days=1, hours=12, minutes=30)),
        ("90s", NOW + timedelta(seconds=90)),
        ("1.5h", NOW + timedelta(hours=1.5)),
        ("2026-05-02T06:00", datetime(2026, 5, 2, 6).astimezone()),
        ("2026-05-02T06:00+00:00", datetime.fromisoformat("2026-05-02T06:00+00:00")),
    ],
)
def test_a_deadline_is_a_moment_or_a_duration(text: str, moment: datetime) -> None:
    assert parse_deadline(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tomorrow", "neither a time nor a duration; write 2026-05-01T06:00, 6h or"),
        ("6", "neither"),
        ("1.2.3h", "neither"),
        ("", "neither"),
        ("2026-05-01T06:00", "has passed; it is 2026-05-01T12:00:00 now"),
    ],
)
def test_what_is_no_deadline_is_refused(text: str, message: str) -> None:
    with pytest.raises(ScalingError, match=message):
        parse_deadline(text, NOW)


def test_samples_are_counted_across_checkpoints_that_are_there() -> None:
    stops = tuple(Stop(samples_seen=n) for n in (512, 1024, 2048))
    # From 256 to 512, then from the checkpoint at 1024.
    assert Remaining(stops, 1024, (0, 256, 1024)).samples_until == (256, 256, 1280)
    assert Remaining(stops, 0).samples_until == (512, 1024, 2048)
