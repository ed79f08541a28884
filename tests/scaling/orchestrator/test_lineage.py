"""Trunks that fail after cooldowns branched off, and that are trained again to other digits."""

from pathlib import Path
from typing import Any

import pytest
from small_plans import Runs, plan_of

from scaling.orchestrator import LocalExecutor
from scaling.store import Failure, FailureKind, Store, TrialState
from scaling.store.lineage import Origin

TRAINER = "breaking_trainer:train"
OTHER_DIGITS = {"execution": {"default": {"micro_batch_size": 16}}}
"""The same trial to all but the last digits."""


def grid(**changes: Any) -> dict[str, Any]:
    recipe = {"batch_size": 64, "precision": "fp32", "warmup": "64 samples"}
    return {"recipes": [recipe], **changes}


@pytest.fixture(scope="module")
def names() -> dict[str, str]:
    """The ids of the trunk and of both cooldowns."""
    ids = [planned.trial.id for planned in plan_of(**grid()).trials]
    return {part: next(i for i in ids if part in i) for part in ("trunk", "-640", "-1.28K")}


def origin(runs: Runs, names: dict[str, str], cooldown: str) -> Origin | None:
    with Store.read(runs.db) as store:
        return store.origin(names[cooldown], names["trunk"])


def failure(runs: Runs, trial_id: str) -> Failure | None:
    with Store.read(runs.db) as store:
        return store.recorded([trial_id])[trial_id].failure


def lose(runs: Runs, trial_id: str, samples_seen: int) -> None:
    """Delete the checkpoints of a trial at these samples seen."""
    for path in (runs.checkpoints / trial_id).glob(f"{samples_seen:012d}-*.pt"):
        path.unlink()


def digest(runs: Runs, trial_id: str, samples_seen: int) -> str:
    with Store.read(runs.db) as store:
        (found,) = (c for c in store.checkpoints(trial_id) if c.samples_seen == samples_seen)
    return found.sha256


def test_cooldowns_keep_what_they_branched_off_when_their_trunk_fails_and_is_trained_again(
    here: Runs, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALING_TEST_RAISE", "trunk 512")
    outcome = here.run(plan_of(**grid()), TRAINER)

    assert (outcome.done, outcome.failed, outcome.blocked) == (1, 1, 1)
    branched = Origin(512, digest(here, names["trunk"], 512), attempt=1)
    assert origin(here, names, "-640") == branched
    assert origin(here, names, "-1.28K") is None
    blocked = failure(here, names["-1.28K"])
    assert blocked is not None
    assert blocked.text.startswith(f"its trunk {names['trunk']} failed: ValueError: a bug")

    before = here.results()
    lose(here, names["trunk"], 512)
    monkeypatch.delenv("SCALING_TEST_RAISE")
    outcome = here.run(plan_of(**grid(**OTHER_DIGITS)), TRAINER, retry=True)

    assert (outcome.done, outcome.already_done, outcome.failed) == (2, 1, 0)
    assert origin(here, names, "-640") == branched
    assert origin(here, names, "-1.28K") == Origin(
        1024, digest(here, names["trunk"], 1024), attempt=2
    )
    kept = [row for row in before if row[0] == names["-640"]]
    assert [row for row in here.results() if row[0] == names["-640"]] == kept


def test_a_cooldown_with_results_never_goes_on_from_another_checkpoint_of_its_trunk(
    here: Runs, names: dict[str, str], tmp_path: Path
) -> None:
    both = grid(evaluate=["shapes_classification", "shapes_retrieval"])
    undisturbed = Runs(tmp_path / "undisturbed", LocalExecutor)
    undisturbed.run(plan_of(**both), TRAINER)
    here.run(plan_of(**grid()), TRAINER)
    first, trunk, cooldown = digest(here, names["trunk"], 512), names["trunk"], names["-640"]
    lose(here, trunk, 512)
    lose(here, cooldown, 640)

    outcome = here.run(plan_of(**both, **OTHER_DIGITS), TRAINER)

    second = digest(here, trunk, 512)
    assert second != first
    assert (outcome.failed, outcome.blocked) == (0, 1)
    with Store.read(here.db) as store:
        assert store.state(cooldown) is TrialState.BLOCKED
        assert store.measured(cooldown) == {(640, "shapes_classification")}
    blocked = failure(here, cooldown)
    assert blocked is not None
    assert blocked.kind is FailureKind.BLOCKED
    assert f"attempt 1, sha256 {first[:12]}" in blocked.text
    assert f"another one (sha256 {second[:12]})" in blocked.text
    assert here.run(plan_of(**both, **OTHER_DIGITS), TRAINER).blocked == 1

    # Trained again as it was the first time, it is the same to the last bit.
    lose(here, trunk, 512)
    outcome = here.run(plan_of(**both), TRAINER)

    assert (outcome.failed, outcome.blocked) == (0, 0)
    assert digest(here, trunk, 512) == first
    assert origin(here, names, "-640") == Origin(512, first, attempt=3)
    assert here.results() == undisturbed.results()


def test_a_cooldown_of_which_nothing_is_left_begins_anew(
    here: Runs, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALING_TEST_RAISE", "cooldown-640 512")
    assert here.run(plan_of(**grid()), TRAINER).failed == 1
    first = origin(here, names, "-640")
    lose(here, names["trunk"], 512)
    monkeypatch.delenv("SCALING_TEST_RAISE")

    outcome = here.run(plan_of(**grid(**OTHER_DIGITS)), TRAINER, retry=True)

    assert (outcome.failed, outcome.blocked) == (0, 0)
    second = origin(here, names, "-640")
    assert first is not None
    assert second is not None
    assert second.sha256 == digest(here, names["trunk"], 512) != first.sha256
