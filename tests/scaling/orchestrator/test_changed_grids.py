"""A grid that shrinks or is written in another order; how one grows is in `test_run.py`."""

from fake_trainer import METRICS, steps
from small_plans import Runs, counts, plan_of

from scaling.orchestrator import Budget
from scaling.store import Store, TrialState


def test_what_vanishes_from_a_grid_is_marked_and_nothing_is_deleted(here: Runs) -> None:
    here.run(plan_of())
    before, files = here.results(), sorted(here.checkpoints.rglob("*.pt"))

    outcome = here.run(plan_of(samples_seen=[640]))

    assert counts(outcome) == (0, 2, 0, 0, 0)
    assert here.results() == before
    assert sorted(here.checkpoints.rglob("*.pt")) == files
    with Store.read(here.db) as store:
        assert {point["samples_seen"] for point in store.points()} == {640}
    # It is wanted again, and there still.
    assert counts(here.run(plan_of())) == (0, 3, 0, 0, 0)
    with Store.read(here.db) as store:
        assert {point["samples_seen"] for point in store.points()} == {640, 1280}


def test_what_vanishes_before_it_was_trained_is_not_trained(here: Runs) -> None:
    plan = plan_of(samples_seen=[640, 1280, 1920])
    here.run(plan, budget=Budget(gflops=0))

    outcome = here.run(plan_of(samples_seen=[640]))

    assert counts(outcome) == (2, 0, 0, 0, len(METRICS))
    # The trunk goes as far as the cooldown that is left needs it.
    assert steps(here.directory("trunk"))[-1] == 512
    with Store.read(here.db) as store:
        assert store.counts("small") == {TrialState.COMPLETE: 2}


def test_a_grid_in_another_order_is_the_same_grid(here: Runs) -> None:
    axes = {"families": ["clip", "mammut"], "samples_seen": [640, 1280]}
    here.run(plan_of(**axes))
    before = here.results()

    outcome = here.run(plan_of(**{name: values[::-1] for name, values in axes.items()}))

    assert str(outcome) == "nothing to do: all 6 trials are complete"
    assert here.results() == before


def test_a_grid_that_grows_and_shrinks_at_once_trains_only_what_is_new(here: Runs) -> None:
    here.run(plan_of())

    outcome = here.run(plan_of(samples_seen=[1280, 1920], families=["mammut", "clip"]))

    # Of clip: its trunk goes on from 1024 to 1536, and one cooldown is new.
    assert counts(outcome) == (2 + 3, 1, 0, 0, 3 * len(METRICS))
    assert steps(here.directory("clip-tiny-a-trunk")) == list(range(64, 1536 + 1, 64))
