from pathlib import Path

import pytest
from grids import plan_of

from scaling.cost import cost, shared
from scaling.orchestrator.files import Files
from scaling.orchestrator.survey import survey
from scaling.plan import Plan
from scaling.planning import Estimate, Machine, Paces, estimate, nothing_done, progress
from scaling.store import Measured, Recorded, Store, TrialState
from scaling.trial import Measurement

CORES = Machine(gpus=0, cpus=2)
GPUS = Machine(gpus=8, cpus=64)


def estimated(plan: Plan, machine: Machine = CORES, *measured: Measured) -> Estimate:
    return estimate(plan, nothing_done(plan), machine, Paces(machine, measured))


def measured(model: str, rate: float, device: str = "cpu", latest: str = "2026") -> Measured:
    return Measured(
        family="clip",
        model=model,
        device=device,
        samples=int(10 * rate),
        seconds=10.0,
        latest=latest,
    )


@pytest.mark.parametrize("schedules", [["cosine"], ["const"], ["const-cooldown", "cosine"]])
def test_what_is_left_where_nothing_is_recorded_is_what_a_run_would_find(
    schedules: list[str], tmp_path: Path
) -> None:
    plan = plan_of(schedules=schedules)
    nothing = {its.trial.id: Recorded(TrialState.PENDING) for its in plan.trials}

    by_run, by_plan = survey(plan, nothing, Files(tmp_path)), nothing_done(plan)

    assert by_plan.left == by_run.left
    assert by_plan.waiting == by_run.waiting


def test_models_add_up_to_the_plan() -> None:
    plan = plan_of(families=["clip", "mammut"])
    models = estimated(plan).models

    assert sum(its.samples for its in models) == cost(plan.trials).samples
    assert sum(its.gflops for its in models) == pytest.approx(cost(plan.trials).gflops)
    assert sum(its.cells for its in models) == len(plan.cells)
    assert sum(its.checkpoints for its in models) == sum(len(its.stops) for its in plan.trials)


def test_stated_hours_are_three_forward_passes_at_the_stated_rate() -> None:
    plan = plan_of(schedules=["cosine"], models=["tiny-a"])
    paces = Paces(GPUS, tflops=100, mfu=0.5)

    (its,) = estimate(plan, nothing_done(plan), GPUS, paces).models

    flops = 3 * its.profile.full_gflops * 1e9 * (1024 + 2048 + 4096)
    assert its.device_seconds == pytest.approx(flops / (100e12 * 0.5))


def test_what_was_measured_goes_before_what_is_stated_by_default() -> None:
    slow, fast = estimated(plan_of(), CORES, measured("tiny-a", 50.0)).models

    assert (slow.pace.samples_per_second, slow.pace.source) == (50.0, "measured")
    assert fast.pace.source == "other models"
    ratio = slow.profile.full_gflops / fast.profile.full_gflops
    assert fast.pace.samples_per_second == pytest.approx(50.0 * ratio)


def test_the_latest_device_of_the_same_kind_counts() -> None:
    old, new = measured("tiny-a", 9.0, "V100", "2024"), measured("tiny-a", 99.0, "H100", "2026")
    on_gpus = Paces(GPUS, [new, measured("tiny-a", 1.0, latest="2027"), old])

    assert on_gpus.device == "H100"
    assert Paces(CORES, [old, new]).device is None
    assert Paces(GPUS, [old, new], tflops=10).device is None


def test_eight_gpus_take_as_many_gpu_hours_and_an_eighth_of_the_time() -> None:
    one = estimated(plan_of(), GPUS)
    eight = estimated(plan_of(resources={"default": {"gpus": 8}}), GPUS)

    for alone, gang in zip(one.models, eight.models, strict=True):
        assert gang.device_seconds == pytest.approx(alone.device_seconds)
    assert one.makespan is not None
    assert eight.makespan is not None
    work = sum(its.device_seconds for its in eight.models)
    assert eight.makespan.seconds == pytest.approx(work / 8)  # one trial after the other


def test_trials_that_are_too_large_have_no_makespan_and_a_reason() -> None:
    found = estimated(plan_of(resources={"tiny-c": {"gpus": 16}}), GPUS)

    assert found.makespan is None
    assert found.too_large == ["tiny-c asks for 16 GPUs, and 8 are there"]


@pytest.mark.parametrize("machine", [CORES, Machine(gpus=0, cpus=8, slots=3), GPUS])
def test_no_makespan_is_below_its_bound_or_above_one_trial_after_the_other(
    machine: Machine,
) -> None:
    plan = plan_of(families=["clip", "mammut"], schedules=["const-cooldown", "cosine"])
    found = estimated(plan, machine).makespan
    alone = estimated(plan, Machine(gpus=machine.gpus, cpus=machine.cpus, slots=1)).makespan

    assert found is not None
    assert alone is not None
    assert found.bound * (1 - 1e-9) <= found.seconds < alone.seconds
    assert alone.seconds == pytest.approx(alone.bound)


def test_trunks_and_cooldowns_overlap_as_the_run_lets_them() -> None:
    """One trunk and its branches on many cores: the longest path, whatever else there is."""
    plan = plan_of(models=["tiny-a"])
    found = estimated(plan, Machine(gpus=0, cpus=64))
    rate = found.models[0].pace.samples_per_second

    assert found.makespan is not None
    assert found.makespan.seconds == pytest.approx(4096 / rate)


def test_sharing_saves_hours_in_the_measure_of_its_gflops() -> None:
    plan = plan_of(models=["tiny-a"])
    (its,) = estimated(plan).models

    assert 1 - its.device_seconds / its.device_seconds_alone == pytest.approx(shared(plan).saved)


def test_what_the_store_has_is_not_left(tmp_path: Path) -> None:
    plan = plan_of(schedules=["cosine"], models=["tiny-a"])
    with Store(tmp_path / "results.db") as store:
        store.record_plan(plan)
        trial = plan.trials[0].trial
        attempt = store.start_attempt(trial.id)
        event = Measurement(
            trial_id=trial.id,
            samples_seen=1024,
            task="shapes_classification",
            metric="acc1",
            value=0.5,
        )
        store.record(trial.id, attempt, [event])
    grown = plan_of(schedules=["cosine"])  # the store does not know the other model

    with Store.read(tmp_path / "results.db") as reader:
        found = progress(grown, reader, tmp_path)
    small, other = estimate(grown, found, CORES, Paces(CORES)).models

    assert found.done == [trial.id]
    assert small.samples_left == 2048 + 4096
    assert other.samples_left == other.samples
