"""fp16: the scale of the loss, and which steps count as divergence."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from small_trials import facts, only, stops, trunk

from scaling.train import Diverged
from scaling.train.precision import LossScale
from scaling.train.session import Session
from scaling.trial import Checkpoint, Event, Execution

Run = Callable[..., list[Event]]
CPU = torch.device("cpu")


def batch(count: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, 16, 16, generator=generator)
    return images, torch.randint(1, 40, (count, 16), generator=generator)


def test_the_scale_follows_that_of_torch() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    theirs = torch.amp.GradScaler("cpu")
    optimizer = torch.optim.SGD([weight], lr=0.0)
    ours = LossScale(CPU)
    gradients = [math.inf, 1.0, math.nan] + [1.0] * 4100 + [math.inf]

    for gradient in gradients:
        theirs.scale(torch.zeros(()))
        weight.grad = torch.tensor([gradient])
        theirs.step(optimizer)
        theirs.update()
        ours.update(torch.tensor(math.isfinite(gradient)))
        assert ours.value.item() == theirs.get_scale()


@pytest.mark.parametrize("family", ["clip", "mammut"])
def test_fp16_follows_fp32(family: str) -> None:
    sessions = [Session(trunk(family, precision=p), CPU) for p in ("fp32", "fp16")]
    sessions[1].loss_scale.value.fill_(1024.0)  # Past the first steps, which find the scale.

    for _ in range(8):
        for session in sessions:
            session.step(*batch())
        assert sessions[1].loss.item() == pytest.approx(sessions[0].loss.item(), rel=5e-3)


def test_the_gradient_does_not_depend_on_the_scale() -> None:
    whole = []
    for scale in (1.0, 4096.0):
        session = Session(trunk("mammut", precision="fp16"), CPU)
        session.loss_scale.value.fill_(scale)
        session.step(*batch())
        whole.append(torch.cat([p.grad.flatten() for p in session.network.parameters()]))

    assert (whole[0] - whole[1]).norm() < 1e-2 * whole[1].norm()


@pytest.mark.parametrize("family", ["clip", "mammut"])
def test_interrupted_and_resumed_equals_uninterrupted(run: Run, family: str) -> None:
    trial = trunk(family, precision="fp16")
    whole = run(trial, stops(64, 512))

    first = run(trial, stops(64))
    second = run(trial, stops(512), tuple(only(Checkpoint, first)))

    assert facts(first + second) == facts(whole)


def test_a_gradient_that_overflows_lowers_the_scale_and_is_no_divergence() -> None:
    session = Session(trunk("clip", precision="fp16"), CPU)
    session.loss_scale.value.fill_(2.0**40)
    weights = copy.deepcopy(session.network.state_dict())

    for _ in range(8):
        session.step(*batch())
        session.check()

    assert session.loss_scale.value.item() == 2.0**32
    for name, value in session.network.state_dict().items():
        assert torch.equal(weights[name], value)


def test_at_the_smallest_scale_it_is_divergence() -> None:
    session = Session(trunk("clip", precision="fp16"), CPU)
    session.loss_scale.value.fill_(1.0)
    images, tokens = batch()
    session.network.visual.proj.register_hook(lambda gradient: gradient * math.inf)

    for _ in range(3):
        session.check()
        session.step(images, tokens)

    with pytest.raises(Diverged):
        session.check()


@pytest.mark.parametrize("optimizer", ["adamw", "lion", "lamb", "adafactor", "muon", "sgd"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_loss_that_is_not_finite_stops_every_optimizer_after_three_steps(
    optimizer: str, precision: str
) -> None:
    session = Session(trunk("clip", optimizer=optimizer, precision=precision), CPU)
    images, tokens = batch()
    session.step(images, tokens)
    weights = copy.deepcopy(session.network.state_dict())
    for _ in range(3):
        session.check()
        session.step(images * math.nan, tokens)

    with pytest.raises(Diverged, match="diverged: loss nan at 128 samples seen"):
        session.check()
    for name, value in session.network.state_dict().items():
        assert torch.equal(weights[name], value)


@pytest.mark.parametrize("execution", [Execution(micro_batch_size=8)], ids=str)
def test_micro_batches_scale_too(execution: Execution) -> None:
    whole, parts = (
        Session(trunk("mammut", precision="fp16"), CPU, execution=how)
        for how in (Execution(), execution)
    )
    for session in (whole, parts):
        session.loss_scale.value.fill_(1024.0)
        session.step(*batch())

    flat = [torch.cat([p.grad.flatten() for p in s.network.parameters()]) for s in (whole, parts)]
    assert (flat[0] - flat[1]).norm() < 1e-2 * flat[0].norm()
