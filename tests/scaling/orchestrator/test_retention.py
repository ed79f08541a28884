"""What is deleted of the checkpoints that trials saved because they had to leave."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_plans import plan_of

from scaling.orchestrator.files import Files
from scaling.orchestrator.retention import Retention, superseded
from scaling.plan import PlannedTrial
from scaling.store import Store
from scaling.trial import Checkpoint


def checkpoint(trial_id: str, samples_seen: int, *, forced: bool = False) -> Checkpoint:
    path = Path(trial_id) / f"{samples_seen}-1.pt"
    return Checkpoint(
        trial_id=trial_id, samples_seen=samples_seen, path=path, sha256="a", bytes=1, forced=forced
    )


@pytest.mark.parametrize(
    ("forced", "stops", "lost", "gone"),
    [
        ([], [512, 1024], [], []),
        ([128], [], [], []),  # The last one, whatever it is for.
        ([128, 192], [], [], [128]),
        ([128, 192], [512], [], [128, 192]),
        ([128, 640], [512, 1024], [], [128, 640]),
        ([128, 640], [512, 1024], [1024], [128]),  # 1024 is made again from 640.
        ([128, 640], [512, 1024], [512], [640]),  # 512 is made again from 128.
        ([128, 192, 640], [512, 1024], [512], [128, 640]),
        ([128, 640], [512, 1024], [512, 1024], []),
        ([512, 576], [512], [], []),  # Somebody branches off there by now.
    ],
)
def test_what_no_later_stop_needs_is_superseded(
    forced: list[int], stops: list[int], lost: list[int], gone: list[int]
) -> None:
    at_stops = [checkpoint("t", n) for n in stops if n not in forced]
    saved = [*(checkpoint("t", n, forced=True) for n in forced), *at_stops]
    present = [each for each in saved if each.samples_seen not in lost]

    found = superseded(saved, present, stops)

    assert sorted(each.samples_seen for each in found) == gone


@pytest.fixture
def trunk() -> PlannedTrial:
    """Stops at 512 and 1024."""
    return next(p for p in plan_of().trials if p.trial.kind == "trunk")


@pytest.fixture
def store(tmp_path: Path, trunk: PlannedTrial) -> Iterator[Store]:
    """A store whose trunk was saved at 128 and 256 because it had to leave."""
    with Store(tmp_path / "results.db") as store:
        store.record_plan(plan_of())
        save(store, trunk, checkpoint(trunk.trial.id, 128, forced=True))
        save(store, trunk, checkpoint(trunk.trial.id, 256, forced=True))
        yield store


def save(store: Store, planned: PlannedTrial, saved: Checkpoint) -> None:
    path = store.db.parent / saved.path
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    store.record(planned.trial.id, store.start_attempt(planned.trial.id), [saved])


def left(store: Store, planned: PlannedTrial) -> tuple[list[int], list[int]]:
    """The samples seen of the trial's checkpoints in the store, and of its files."""
    files = (store.db.parent / planned.trial.id).glob("*.pt")
    return (
        [saved.samples_seen for saved in store.checkpoints(planned.trial.id)],
        sorted(int(path.name.split("-")[0]) for path in files),
    )


def test_rows_and_files_of_what_is_superseded_go_when_the_next_is_recorded(
    store: Store, trunk: PlannedTrial
) -> None:
    retention = Retention(store, Files(store.db.parent))
    stop = checkpoint(trunk.trial.id, 512)
    save(store, trunk, stop)

    retention.saw(trunk, [stop])

    assert left(store, trunk) == ([512], [512])


def test_a_branch_point_of_another_study_stays(store: Store, trunk: PlannedTrial) -> None:
    # Its cooldown of 320 samples branches off at 256.
    store.record_plan(plan_of(study="other", samples_seen=[320]))
    save(store, trunk, checkpoint(trunk.trial.id, 512))

    Retention(store, Files(store.db.parent)).sweep(plan_of())

    assert left(store, trunk) == ([256, 512], [256, 512])


def test_what_a_killed_driver_was_deleting_is_gone_after_the_next_sweep(
    store: Store, trunk: PlannedTrial
) -> None:
    save(store, trunk, checkpoint(trunk.trial.id, 512))
    os.unlink(store.db.parent / checkpoint(trunk.trial.id, 256).path)

    Retention(store, Files(store.db.parent)).sweep(plan_of())

    assert left(store, trunk) == ([512], [512])
    assert store.with_forced() == set()


def test_nothing_is_deleted_while_the_files_are_somewhere_else(
    store: Store, trunk: PlannedTrial, tmp_path: Path
) -> None:
    save(store, trunk, checkpoint(trunk.trial.id, 512))

    Retention(store, Files(tmp_path / "unmounted")).sweep(plan_of())

    assert left(store, trunk) == ([128, 256, 512], [128, 256, 512])


def test_what_cannot_be_deleted_stays_and_is_said(
    store: Store, trunk: PlannedTrial, caplog: pytest.LogCaptureFixture
) -> None:
    save(store, trunk, checkpoint(trunk.trial.id, 512))
    for samples_seen in (128, 256):
        path = store.db.parent / checkpoint(trunk.trial.id, samples_seen).path
        path.unlink()
        path.mkdir()

    assert Retention(store, Files(store.db.parent)).discard(trunk) == ()

    assert [saved.samples_seen for saved in store.checkpoints(trunk.trial.id)] == [128, 256, 512]
    assert "was not deleted" in caplog.text
