"""Several processes give what one process gives on the same global batch."""

from pathlib import Path
from typing import Any

import pytest
import several
import torch
from processes import together
from several import SHARDINGS, saved_in
from small_trials import facts, stops, trunk

from scaling.errors import ResourceError
from scaling.families import FAMILIES, World
from scaling.train import checkpoints, read_journal
from scaling.train.gradients import ALONE
from scaling.train.rows import check_together
from scaling.trial import Execution

SIZES = (2, 4)
two_processes = pytest.mark.parametrize("found", [2], indirect=True, ids="{} processes".format)
FAMILY_NAMES = FAMILIES.names()


class Found:
    """What so many processes found, by rank, and the folder they wrote to."""

    def __init__(self, size: int, directory: Path) -> None:
        self.size = size
        self.directory = directory
        self.ranks: list[dict[str, Any]] = together(several.everything, size, directory)


@pytest.fixture(scope="module", params=SIZES, ids="{} processes".format)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return Found(request.param, tmp_path_factory.mktemp("processes"))


def assert_same(found: dict[str, Any], expected: dict[str, Any], relative: float) -> None:
    """Of each tensor, the difference is small beside its norm."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        error = (found[name] - tensor).norm() / (tensor.norm() + 1e-12)
        assert error < relative, f"{name}: {error:.1e} off"


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("sharding", SHARDINGS)
@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_gradients_and_losses_are_those_of_one_process(
    found: Found, name: str, sharding: str, parts: int
) -> None:
    expected = several.gradient(FAMILIES.get(name), ALONE)

    for rank in found.ranks:
        same = rank["gradients"][name, sharding, parts]
        assert_same(same["gradient"], expected["gradient"], 1e-9)
        assert_same(same["terms"], expected["terms"], 1e-12)


@pytest.mark.parametrize("sharding", SHARDINGS)
@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_weights_and_moments_after_three_steps_are_those_of_one_process(
    found: Found, name: str, sharding: str
) -> None:
    expected = several.state_after_steps(FAMILIES.get(name), name, ALONE)

    state = found.ranks[0]["steps"][name, sharding]

    assert state.keys() == expected.keys()
    assert_same(state["network"], expected["network"], 1e-9)
    moments, expected_moments = (s["optimizer"]["state"] for s in (state, expected))
    assert moments.keys() == expected_moments.keys()
    for index, values in expected_moments.items():
        assert_same(moments[index], values, 1e-8)
    assert state["optimizer"]["param_groups"] == expected["optimizer"]["param_groups"]
    assert state["loss"] == pytest.approx(expected["loss"], rel=1e-12)


def test_processes_have_unequal_numbers_of_tokens(found: Found) -> None:
    """Else a mean over each process's tokens would look right in the tests above."""
    assert len({rank["tokens"] for rank in found.ranks}) > 1


def test_the_contrastive_gradient_does_not_shrink_with_processes(found: Found) -> None:
    """As it does with open_clip's default, which compares gathered features without gradients."""
    clip = FAMILIES.get("clip")
    whole = several.gradient(clip, ALONE)["gradient"]
    gathered = [rank["not gathered"] for rank in found.ranks]
    naive = {name: sum(g[name] for g in gathered) / found.size for name in whole}

    for name in set(whole) - {"logit_scale"}:
        torch.testing.assert_close(naive[name] * found.size, whole[name], rtol=1e-6, atol=1e-10)
    ours = found.ranks[0]["gradients"]["clip", "ddp", 1]["gradient"]
    assert (ours["visual.proj"] / naive["visual.proj"]).median() == pytest.approx(found.size)


def test_the_logit_scales_gradient_does_not_grow_with_micro_batches(found: Found) -> None:
    whole, parts = (
        found.ranks[0]["gradients"]["clip", "ddp", n]["gradient"]["logit_scale"] for n in (1, 2)
    )

    assert parts / whole == pytest.approx(1, rel=1e-9)


def test_a_bad_image_at_one_process_is_a_bad_step_at_all(found: Found) -> None:
    assert {rank["divergence"] for rank in found.ranks} == {(36, True)}


def test_under_fsdp_each_process_holds_its_share_and_no_more(found: Found) -> None:
    held = [rank["numbers held"]["fsdp"] for rank in found.ranks]

    assert sum(here for here, _ in held) == held[0][1]
    assert max(here for here, _ in held) < 1.2 * held[0][1] / found.size
    assert all(here == whole for here, whole in [r["numbers held"]["ddp"] for r in found.ranks])


def test_others_wait_for_rank_0_longer_than_a_step_may_take(tmp_path: Path) -> None:
    waited = together(several.wait_for_rank_0, 2, tmp_path, step_timeout=1)

    assert min(waited) > 1.5


@two_processes
@pytest.mark.parametrize("sharding", SHARDINGS)
def test_interrupted_and_resumed_equals_uninterrupted(found: Found, sharding: str) -> None:
    whole, parts = (
        facts(read_journal(found.directory / f"{name}-{sharding}")) for name in ("whole", "parts")
    )

    assert parts == whole
    assert [fact[0] for fact in whole].count("checkpoint") == 2


@two_processes
@pytest.mark.parametrize("sharding", SHARDINGS)
def test_one_process_continues_from_the_checkpoint_of_two(
    found: Found, sharding: str, tmp_path: Path
) -> None:
    half, end = saved_in(found.directory / f"whole-{sharding}")
    several.train_to(stops(64, 128), (), ALONE, tmp_path / "alone")
    alone_half, alone_end = saved_in(tmp_path / "alone")

    several.train_to(stops(128), (half,), ALONE, tmp_path / "continued")
    (continued,) = saved_in(tmp_path / "continued")

    for saved, expected in ((half, alone_half), (end, alone_end), (continued, alone_end)):
        here, there = (checkpoints.load(c, several.CPU) for c in (saved, expected))
        assert here.keys() == there.keys()
        assert_same(here["network"], there["network"], 1e-3)
        assert here["loss"] == pytest.approx(there["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("recipe", "execution", "message"),
    [
        ({"batch_size": 32}, Execution(), "batch_size 32 does not divide among 3 processes"),
        ({}, Execution(micro_batch_size="auto"), "3 processes cannot look for a micro_batch_size"),
        ({"optimizer": "muon"}, Execution(sharding="fsdp"), "'muon' does not work on shards; use"),
    ],
)
def test_what_processes_cannot_do_together_is_refused(
    recipe: dict[str, Any], execution: Execution, message: str
) -> None:
    trial = trunk(**{"batch_size": 36, **recipe})

    with pytest.raises(ResourceError, match=message):
        check_together(trial, execution, World(0, 3))
    check_together(trial, execution, ALONE)
