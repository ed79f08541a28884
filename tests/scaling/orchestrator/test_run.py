from pathlib import Path

import pytest
from fake_trainer import METRICS, steps
from small_plans import Runs, counts, plan_of

from scaling.errors import ResourceError, StorageError
from scaling.orchestrator import RayExecutor, order
from scaling.store import Store, TrialState


def test_a_grid_is_trained_measured_and_recorded(runs: Runs) -> None:
    outcome = runs.run(plan_of())

    assert counts(outcome) == (3, 0, 0, 0, 2 * len(METRICS))
    assert outcome.exit_code == 0
    with Store.read(runs.db) as store:
        points = store.points()
        assert store.counts("small") == {TrialState.COMPLETE: 3}
    assert [(p["samples_seen"], p["metric"]) for p in points] == [
        (640, "acc1"),
        (1280, "acc1"),
        (640, "acc5"),
        (1280, "acc5"),
    ]
    assert len(runs.results()) == len(points) + 1024 // 64 + 2 + 4


def test_a_second_run_does_nothing(runs: Runs) -> None:
    runs.run(plan_of())
    before = runs.results()

    again = runs.run(plan_of())

    assert counts(again) == (0, 3, 0, 0, 0)
    assert str(again) == "nothing to do: all 3 trials are complete"
    assert again.seconds < 1
    assert runs.results() == before


@pytest.mark.ray
def test_a_cooldown_starts_when_its_checkpoint_is_recorded_and_not_when_the_trunk_ends(
    on_ray: Runs,
) -> None:
    on_ray.mischief(trunk={"do": "wait"})

    on_ray.run(plan_of())

    told = [(name, state) for name, state, _ in on_ray.show.told]
    trunk, short = (
        next(i.trial.id for i in plan_of().trials if kind in i.trial.id)
        for kind in ("trunk", "cooldown-640")
    )
    assert told.index((short, "running")) < told.index((trunk, "complete"))


def test_a_growing_grid_trains_only_what_is_new(here: Runs) -> None:
    here.run(plan_of())

    outcome = here.run(plan_of(samples_seen=[640, 1280, 1920]))

    # The trunk goes on to the branch point of the third cooldown, from where it ended.
    assert counts(outcome) == (2, 2, 0, 0, len(METRICS))
    assert steps(here.directory("trunk")) == list(range(64, 1536 + 1, 64))


def test_a_task_added_to_a_grid_is_measured_without_training(here: Runs) -> None:
    here.run(plan_of())
    before = {path.name: steps(path) for path in here.checkpoints.iterdir()}

    both = ["shapes_classification", "shapes_retrieval"]
    outcome = here.run(plan_of(evaluate=both))

    assert counts(outcome) == (2, 1, 0, 0, 2 * len(METRICS))
    assert {path.name: steps(path) for path in here.checkpoints.iterdir()} == before


def test_a_trunk_is_read_where_const_cells_ask(here: Runs) -> None:
    outcome = here.run(plan_of(schedules=["const", "const-cooldown"]))

    assert counts(outcome) == (3, 0, 0, 0, 4 * len(METRICS))


def test_checkpoints_that_are_gone_are_made_again_only_if_needed(here: Runs) -> None:
    here.run(plan_of(samples_seen=[640]))
    trunk = here.directory("trunk")
    for path in trunk.glob("*.pt"):
        path.unlink()

    assert counts(here.run(plan_of(samples_seen=[640]))) == (0, 2, 0, 0, 0)
    assert counts(here.run(plan_of())) == (2, 1, 0, 0, len(METRICS))
    assert steps(trunk) == [*range(64, 512 + 1, 64), *range(64, 1024 + 1, 64)]


def test_a_torn_checkpoint_is_not_used(here: Runs) -> None:
    here.run(plan_of(samples_seen=[640]))
    (path,) = here.directory("trunk").glob("*.pt")
    path.write_bytes(path.read_bytes()[:-1])

    assert counts(here.run(plan_of())) == (2, 1, 0, 0, len(METRICS))


def test_what_takes_longest_starts_first(here: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "COVERAGE", 0.0)
    plan = plan_of(models=["tiny-a", "tiny-b"], schedules=["const-cooldown", "cosine"])

    here.run(plan)

    gflops = {i.trial.id: i.profile.lean_gflops for i in plan.trials}
    started = here.show.started()
    roots = [name for name in started if "cooldown" not in name]
    # By the longest path from their start: the trunks with their longest cooldown, then others.
    lengths = {"trunk": 1280, "cosine-640": 640, "cosine-1.28K": 1280}
    paths = [
        gflops[name] * next(n for kind, n in lengths.items() if kind in name) for name in roots
    ]
    assert paths == sorted(paths, reverse=True)


def test_a_checkpoint_that_a_killed_worker_left_half_written_is_cleared_away(here: Runs) -> None:
    half = here.checkpoints / plan_of().trials[0].trial.id / "000000000512-1.tmp"
    half.parent.mkdir()
    half.write_bytes(b"half")

    here.run(plan_of())

    assert not half.exists()


def test_a_log_that_finds_no_room_ends_nothing(here: Runs) -> None:
    here.db.with_suffix(".log").symlink_to("/dev/full")

    assert counts(here.run(plan_of())) == (3, 0, 0, 0, 2 * len(METRICS))


@pytest.mark.ray
def test_more_cpus_than_a_node_has_are_refused_before_anything_starts(on_ray: Runs) -> None:
    plan = plan_of(resources={"tiny-a": {"cpus": 64}})

    with pytest.raises(ResourceError, match="64 CPUs and 0 GPUs; no node has that: the largest"):
        on_ray.run(plan)

    assert on_ray.show.told == []


@pytest.mark.ray
def test_no_more_slots_than_asked_for(on_ray: Runs) -> None:
    on_ray.run(plan_of(), slots=1)

    assert on_ray.show.slots == 1
    running = 0
    for _, state, _ in on_ray.show.told:
        running += {"running": 1, "complete": -1}[state]
        assert running <= 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "127.0.0.1:1",
            "no Ray cluster answers at '127.0.0.1:1': .*`ray start --head` starts one",
        ),
        ("nonsense", "'nonsense' is not the address of a cluster; write host:port or auto"),
    ],
)
def test_an_address_where_nobody_answers_is_refused_at_once(
    tmp_path: Path, address: str, message: str
) -> None:
    with pytest.raises(ResourceError, match=message):
        Runs(tmp_path, RayExecutor).run(plan_of(), address=address)


def test_an_address_as_a_path_has_lost_a_slash_and_is_refused(here: Runs) -> None:
    here.root = Path("s3://bucket/checkpoints")

    with pytest.raises(StorageError, match=r"give an address as text, 's3://bucket/checkpoints'"):
        here.run(plan_of())
