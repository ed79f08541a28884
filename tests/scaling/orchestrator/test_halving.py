from typing import Any

import pytest
from fake_trainer import number
from small_plans import Runs, plan_of

from scaling.errors import GridError
from scaling.orchestrator import Budget
from scaling.orchestrator.halving import Bracket
from scaling.plan import Plan
from scaling.points import Selection, load_points
from scaling.store import Store, TrialState

LENGTH, RUNGS = 5760, (640, 1920)
TASK = "shapes_classification"
SWEEP: dict[str, Any] = {
    "schedules": ["cosine"],
    "samples_seen": [LENGTH],
    "recipes": [
        {
            "batch_size": 64,
            "learning_rate": [n * 1e-3 for n in range(1, 10)],
            "warmup": "64 samples",
        }
    ],
}
HALVED = {**SWEEP, "sweep": {"stop": "halving", "task": TASK}}


def states(runs: Runs) -> dict[TrialState, int]:
    with Store.read(runs.db) as store:
        return store.counts("small")


def test_few_members_of_a_sweep_go_to_their_end_and_the_others_are_no_results(here: Runs) -> None:
    plan = plan_of(**HALVED)

    outcome = here.run(plan)

    assert outcome.exit_code == 0
    assert 1 <= outcome.done <= 3
    assert outcome.done + outcome.stopped_early == 9
    assert f"{outcome.stopped_early} stopped early" in str(outcome)
    found = states(here)
    assert found == {
        TrialState.COMPLETE: outcome.done,
        TrialState.STOPPED: outcome.stopped_early,
    }
    trained = {path.parent.name for path in here.checkpoints.rglob("*.pt")}
    assert len(trained) == 9
    # All were measured at the first rung, and whoever is best there went on.
    best = max(plan.trials, key=lambda i: number(i.trial, RUNGS[0], TASK, "acc1")).trial.id
    (at_second,) = ({i for i, n, *_ in here.results() if n == RUNGS[1]},)
    assert best in at_second
    points, _ = load_points(here.db, Selection(metric="acc1"))
    assert [(p["samples_seen"], p["members"]) for p in points.to_dict("records")] == [
        (LENGTH, outcome.done)
    ]


def test_who_was_stopped_stays_so_until_the_grid_no_longer_says_so(here: Runs) -> None:
    first = here.run(plan_of(**HALVED))
    before = here.results()

    again = here.run(plan_of(**HALVED))

    assert (again.done, again.stopped_early) == (0, first.stopped_early)
    assert again.exit_code == 0
    assert here.results() == before

    rest = here.run(plan_of(**SWEEP))

    assert rest.done == first.stopped_early
    assert states(here) == {TrialState.COMPLETE: 9}


def test_whoever_goes_on_finds_what_it_would_have_found_without_a_pause(
    here: Runs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = Runs(tmp_path_factory.mktemp("whole"), here.executor)
    whole.run(plan_of(**SWEEP))

    here.run(plan_of(**HALVED))

    ends = [row for row in here.results() if row[1] == LENGTH]
    assert ends
    assert set(ends) <= set(whole.results())


def test_a_sweep_that_a_budget_cuts_is_decided_later(here: Runs) -> None:
    plan = plan_of(**HALVED)
    gflops = plan.trials[0].profile.published_gflops

    outcome = here.run(plan, budget=Budget(gflops=2 * RUNGS[0] * gflops))

    assert (outcome.done, outcome.stopped_early, outcome.beyond_budget) == (0, 0, 9)
    assert outcome.exit_code == 3
    assert here.run(plan).done >= 1


def test_nobody_waits_for_a_member_that_fails(here: Runs) -> None:
    plan = plan_of(**HALVED)
    digest = plan.trials[0].trial.id.rsplit("-", 1)[1]
    here.mischief(**{digest: {"at": 64, "do": "diverge"}})

    outcome = here.run(plan)

    assert outcome.failed == 1
    assert outcome.done >= 1
    assert outcome.done + outcome.stopped_early == 8


def bracket(plan: Plan) -> tuple[Bracket, list[str]]:
    (sweep,) = plan.sweeps
    return Bracket(sweep), list(sweep.rungs)


def test_a_third_of_those_that_have_arrived_goes_on_without_waiting_for_the_others() -> None:
    one, (a, b, c, *others) = bracket(plan_of(**HALVED))
    for trial_id, value in ((a, 0.1), (b, 0.3)):
        one.arrived(trial_id, 640, value)
    assert [one.limit(i) for i in (a, b, c)] == [640, 640, 640]

    one.arrived(c, 640, 0.2)

    assert [one.limit(i) for i in (a, b, c)] == [640, 1920, 640]
    assert not one.is_stopped(a)  # Others may still make room for it.
    for trial_id in others:
        one.arrived(trial_id, 640, 0.0)
    # Three of nine go on, though the others were slower.
    assert [one.limit(i) for i in (a, b, c)] == [1920, 1920, 1920]
    assert all(one.is_stopped(trial_id) for trial_id in others)


def test_there_is_no_early_stopping_unless_the_grid_asks_for_it_and_there_is_room() -> None:
    few = {**SWEEP["recipes"][0], "learning_rate": [1e-3, 2e-3]}
    warm = {**SWEEP["recipes"][0], "warmup": "1024 samples"}

    assert plan_of(**SWEEP).sweeps == ()
    assert plan_of(**{**HALVED, "recipes": [few]}).sweeps == ()
    assert plan_of(**{**HALVED, "recipes": [warm]}).sweeps == ()
    assert plan_of(**{**HALVED, "schedules": ["const-cooldown"]}).sweeps == ()
    assert [*plan_of(**HALVED).sweeps[0].rungs.values()] == [RUNGS] * 9


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"task": "shapes_retrieval"}, "sweep.task: unknown task of this grid 'shapes_retrieval'"),
        ({"task": TASK, "metric": "acc2"}, "unknown metric of shapes_classification 'acc2'"),
        ({"task": TASK, "reduction": 1}, "sweep.reduction"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, object], message: str) -> None:
    with pytest.raises(GridError, match=message):
        plan_of(**{**SWEEP, "sweep": {"stop": "halving", **rule}})
