"""What processes compute together; `test_distributed` compares it with one process."""

import time
from pathlib import Path
from typing import Any

import torch
from open_clip.loss import ClipLoss
from small_batches import RECIPE, ROWS, batch_of, network_of
from small_trials import only, stops, trunk
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from scaling.families import FAMILIES, Family, World
from scaling.train import Diverged, read_journal
from scaling.train.distributed import Meeting
from scaling.train.gradients import Batch, Gradients
from scaling.train.session import Session
from scaling.train.sharding import full_tensor, parallel
from scaling.train.worker import train
from scaling.trial import Checkpoint, Execution, Progress, Sharding, Stop, Work

CPU = torch.device("cpu")
SHARDINGS: tuple[Sharding, ...] = ("ddp", "fsdp")
TRIAL = trunk("mammut")
Tensors = dict[str, Tensor]


def everything(world: World, directory: Path) -> dict[str, Any]:
    """All cases in one process, because a process takes seconds to start."""
    if world.size == 2:
        for sharding in SHARDINGS:
            train_in_one_and_in_two_attempts(world, directory, sharding)
    return {
        "gradients": {
            (name, sharding, parts): gradient(FAMILIES.get(name), world, sharding, parts)
            for name in FAMILIES.names()
            for sharding in SHARDINGS
            for parts in (1, 2)
        },
        "steps": {
            (name, sharding): state_after_steps(FAMILIES.get(name), name, world, sharding)
            for name in FAMILIES.names()
            for sharding in SHARDINGS
        },
        "not gathered": gradient_without_gathering(world),
        "numbers held": {sharding: numbers_held(world, sharding) for sharding in SHARDINGS},
        "divergence": steps_with_a_bad_image(world),
        "tokens": int((local(batch_of(FAMILIES.get("mammut")), world).tokens != 0).sum()),
    }


def local(batch: Batch, world: World) -> Batch:
    """The rows of one process."""
    rows = slice(world.rank * ROWS // world.size, (world.rank + 1) * ROWS // world.size)
    return Batch(batch.images[rows], batch.tokens[rows])


def gradient(
    family: Family, world: World, sharding: Sharding = "ddp", parts: int = 1
) -> dict[str, Tensors]:
    """Of each parameter, and the loss terms."""
    network = network_of(family)
    batch = local(batch_of(family), world)
    rows = -(-len(batch.images) // parts)
    terms = Gradients(family, RECIPE, world).backward(
        parallel(network, world, sharding), batch, rows
    )
    return {"gradient": whole_gradient(network), "terms": terms}


def whole_gradient(network: nn.Module) -> Tensors:
    """By parameter, of those that have one."""
    parameters = network.named_parameters()
    return {name: full_tensor(p.grad) for name, p in parameters if p.grad is not None}


def state_after_steps(
    family: Family, name: str, world: World, sharding: Sharding = "ddp"
) -> dict[str, Any]:
    """What a checkpoint holds after three steps in double precision, clipped, in micro-batches.

    Several processes also compute their blocks twice.
    """
    torch.set_default_dtype(torch.float64)
    try:
        trial = trunk(name, batch_size=ROWS, warmup_samples=ROWS)
        execution = Execution(
            sharding=sharding, micro_batch_size=2, gradient_checkpointing=world.size > 1
        )
        session = Session(trial, CPU, world, execution)
        images, tokens = batch_of(family)
        for step in range(3):
            session.step(*local(Batch(images.roll(step, 0), tokens.roll(2 * step, 0)), world))
        return session.state()
    finally:
        torch.set_default_dtype(torch.float32)


def steps_with_a_bad_image(world: World) -> tuple[int, bool]:
    """Where it is called diverged, and whether weights stayed; only the last process sees it."""
    session = Session(trunk("clip", batch_size=ROWS), CPU, world)
    before = session.network.state_dict()["visual.proj"].clone()
    batch = batch_of(session.family)
    images = batch.images.float()
    images[-1] = float("nan")
    for _ in range(3):
        session.step(*local(Batch(images, batch.tokens), world))
    unchanged = torch.equal(session.network.state_dict()["visual.proj"], before)
    try:
        session.check()
    except Diverged as error:
        return error.samples_seen, unchanged
    return -1, unchanged


def train_in_one_and_in_two_attempts(world: World, directory: Path, sharding: Sharding) -> None:
    """Leaves journals and checkpoints in `whole-SHARDING` and `parts-SHARDING`."""
    train_to(stops(64, 128), (), world, directory / f"whole-{sharding}", sharding)
    parts = directory / f"parts-{sharding}"
    train_to(stops(64), (), world, parts, sharding)
    train_to(stops(128), saved_in(parts), world, parts, sharding)


def train_to(
    at: tuple[Stop, ...],
    checkpoints: tuple[Checkpoint, ...],
    world: World,
    directory: Path,
    sharding: Sharding = "ddp",
) -> None:
    """One attempt at the trial."""
    work = Work(
        trial=TRIAL,
        stops=at,
        checkpoints=checkpoints,
        directory=directory,
        attempt=1 + len(checkpoints),
        execution=Execution(sharding=sharding),
    )
    found = [e for e in train(work, device="cpu", world=world) if not isinstance(e, Progress)]
    assert bool(found) == (world.rank == 0)


def saved_in(directory: Path) -> tuple[Checkpoint, ...]:
    """Checkpoints, as the journal has them."""
    return tuple(only(Checkpoint, read_journal(directory)))


def gradient_without_gathering(world: World) -> Tensors:
    """Of CLIP under open_clip's default flags, on this process alone."""
    family = FAMILIES.get("clip")
    network = network_of(family)
    outputs = network(*local(batch_of(family), world))
    loss = ClipLoss(rank=world.rank, world_size=world.size)(
        *outputs.features.values(), outputs.scalars["logit_scale"]
    )
    loss.backward()
    return whole_gradient(network)


def numbers_held(world: World, sharding: Sharding) -> tuple[int, int]:
    """By the vectors and matrices of a network: on this process, and in the whole."""
    network = network_of(FAMILIES.get("mammut"))
    parallel(network, world, sharding)
    parameters = [p for p in network.parameters() if p.ndim]
    here = [p.to_local() if isinstance(p, DTensor) else p for p in parameters]
    return sum(p.numel() for p in here), sum(p.numel() for p in parameters)


def wait_for_rank_0(world: World, directory: Path) -> float:
    """Seconds that the others waited while it did something else for two."""
    meeting, start = Meeting(world), time.monotonic()
    if world.rank == 0:
        time.sleep(2)
    meeting.wait()
    return time.monotonic() - start
