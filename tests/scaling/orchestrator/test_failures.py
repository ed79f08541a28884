import pytest
from fake_trainer import METRICS, steps
from small_plans import Runs, counts, plan_of

from scaling.orchestrator import verdicts
from scaling.store import FailureKind, Store, TrialState

TRUNK = [*range(64, 1024 + 1, 64)]


def test_a_failed_trunk_blocks_its_cooldowns_and_nothing_else(runs: Runs) -> None:
    runs.mischief(**{"clip-tiny-a-trunk": {"at": 768, "do": "raise"}})

    outcome = runs.run(plan := plan_of(families=["clip", "mammut"]))

    # The first branch point was reached before the failure.
    assert counts(outcome) == (4, 0, 1, 1, 3 * len(METRICS))
    assert outcome.exit_code == 1
    with Store.read(runs.db) as store:
        found = store.recorded([planned.trial.id for planned in plan.trials])
    failures = {name: there.failure for name, there in found.items() if there.failure}
    trunk = next(name for name in failures if "trunk" in name)
    blocked = next(name for name in failures if "cooldown" in name)
    log = runs.directory("clip-tiny-a-trunk") / "attempt-1.log"
    assert failures[trunk].kind is FailureKind.BUG
    assert failures[trunk].text == f"ValueError: a bug in the trainer (traceback: {log})"
    assert 'raise ValueError("a bug in the trainer")' in log.read_text()
    assert "1.28K" in blocked
    assert failures[blocked].kind is FailureKind.BLOCKED
    assert f"its trunk {trunk} failed: ValueError: a bug" in failures[blocked].text
    assert found[blocked].state is TrialState.BLOCKED


def test_a_failed_trial_is_tried_again_only_on_request(here: Runs) -> None:
    here.mischief(trunk={"at": 768, "do": "raise", "times": 1})
    here.run(plan_of())

    assert counts(here.run(plan_of())) == (0, 1, 1, 1, 0)
    assert here.show.told == []
    assert counts(here.run(plan_of(), retry=True)) == (2, 1, 0, 0, len(METRICS))
    # It went on from the checkpoint at 512.
    assert steps(here.directory("trunk")).count(512) == 1


def test_missing_data_are_looked_for_again_by_the_next_run(here: Runs) -> None:
    here.mischief(trunk={"at": 64, "do": "lack", "times": 1})

    outcome = here.run(plan_of())
    assert counts(outcome) == (0, 0, 1, 2, 0)

    assert counts(here.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))


def test_a_diverged_trial_is_a_state_and_not_a_number(here: Runs) -> None:
    here.mischief(**{"cooldown-640": {"at": 640, "do": "diverge"}})

    outcome = here.run(plan := plan_of())

    assert counts(outcome) == (2, 0, 1, 0, len(METRICS))
    (trial_id,) = (i.trial.id for i in plan.trials if "cooldown-640" in i.trial.id)
    with Store.read(here.db) as store:
        found = store.recorded([trial_id])[trial_id]
        assert [point["samples_seen"] for point in store.points()] == [1280, 1280]
    assert found.state is TrialState.DIVERGED
    assert found.failure
    assert "loss 1000000000.0 at 640 samples seen" in found.failure.text


def test_a_trainer_that_ends_early_has_failed(here: Runs) -> None:
    outcome = here.run(plan_of(), trainer="fake_trainer:nothing")

    assert counts(outcome) == (0, 0, 1, 2, 0)
    assert any("not everything is there at 512, 1,024" in note for _, _, note in here.show.told)


@pytest.mark.ray
@pytest.mark.parametrize(
    ("order", "again"),
    [
        ({"trunk": {"at": 768, "do": "kill", "times": 1}}, [576, 640, 704, 768]),
        ({"trunk": {"at": 64, "do": "kill", "times": 2}}, [64] * 2),
        ({"cooldown-640": {"at": 640, "metric": "acc5", "do": "kill", "times": 1}}, []),
    ],
    ids=["after a checkpoint", "before any", "between two metrics"],
)
def test_a_trial_whose_worker_dies_goes_on_from_its_last_checkpoint(
    on_ray: Runs, here: Runs, monkeypatch: pytest.MonkeyPatch, order: object, again: list[int]
) -> None:
    monkeypatch.setattr(verdicts, "_BACKOFF_SECONDS", 0.01)
    here.run(plan_of())
    on_ray.mischief(**order)  # type: ignore[arg-type]

    outcome = on_ray.run(plan_of())

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert on_ray.results() == here.results()
    assert sorted(steps(on_ray.directory("trunk"))) == sorted(TRUNK + again)
    assert sum("its worker died" in note for _, _, note in on_ray.show.told) >= 1


@pytest.mark.ray
def test_workers_that_die_without_progress_are_given_up_until_the_next_run(
    on_ray: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(verdicts, "DEATHS_IN_A_ROW", 1)
    on_ray.mischief(trunk={"at": 64, "do": "kill", "times": 2})

    assert counts(on_ray.run(plan_of())) == (0, 0, 1, 2, 0)
    with Store.read(on_ray.db) as store:
        (trunk,) = (i.trial.id for i in plan_of().trials if "trunk" in i.trial.id)
        failure = store.recorded([trunk])[trunk].failure
    assert failure
    assert failure.kind is FailureKind.INFRA
    assert "2 workers died in a row without any progress" in failure.text
    assert "died" in (on_ray.directory("trunk") / "attempt-2.log").read_text()

    assert counts(on_ray.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))


def test_a_value_that_contradicts_the_store_fails_its_trial_and_no_other(here: Runs) -> None:
    outcome = here.run(plan_of(), trainer="fake_trainer:fickle")

    assert counts(outcome) == (1, 0, 2, 0, 0)
    assert any("acc1 is recorded: value is" in note for _, _, note in here.show.told)
