from small_plans import everything, plan_of

from scaling.orchestrator.order import costs_by, longest_paths
from scaling.orchestrator.pace import Pace
from scaling.orchestrator.queue import Queue
from scaling.orchestrator.remaining import Remaining
from scaling.trial import Stop


def test_a_trunk_counts_with_its_longest_cooldown() -> None:
    plan = plan_of()
    (trunk, *_), gflops = plan.trials, plan.trials[0].profile.lean_gflops

    paths = longest_paths(everything(plan), costs_by(Pace(), plan))

    # Its last stop is at 1024, from where the longer cooldown goes on to 1280.
    assert paths[trunk.trial.id] == 1280 * gflops


def test_the_path_begins_where_the_trial_goes_on() -> None:
    plan = plan_of()
    trunk = plan.trials[0]
    survey = everything(plan)
    survey.left[trunk.trial.id] = Remaining((Stop(samples_seen=1024),), start=512)

    paths = longest_paths(survey, costs_by(Pace(), plan))

    assert paths[trunk.trial.id] == (1280 - 512) * trunk.profile.lean_gflops


def test_cooldowns_are_released_by_their_checkpoint_only() -> None:
    plan = plan_of()
    trunk, *cooldowns = plan.trials
    queue = Queue(plan, everything(plan))
    assert [phase.planned for phase in queue] == [trunk]
    queue.remove(trunk.trial.id)

    queue.release(trunk.trial.id, 768)
    assert list(queue) == []
    queue.release(trunk.trial.id, 512)
    assert [phase.planned.branch for phase in queue] == [(trunk.trial.id, 512)]

    (blocked,) = queue.give_up(trunk.trial.id)
    assert blocked == next(c.trial.id for c in cooldowns if c.branch == (trunk.trial.id, 1024))
    assert len(queue.trial_ids) == 1


def test_a_delayed_trial_is_not_offered_before_its_time() -> None:
    plan = plan_of(schedules=["cosine"], samples_seen=[640])
    queue = Queue(plan, everything(plan))
    trial_id = plan.trials[0].trial.id
    queue.remove(trial_id)

    queue.add(trial_id, delay=60)

    assert list(queue) == []
    assert queue.trial_ids == [trial_id]
