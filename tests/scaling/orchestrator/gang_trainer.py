"""The fake trainer on several processes: rank 0 works, the others wait and fail on demand."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import fake_trainer

from scaling import train as real
from scaling.families import World
from scaling.trial import Event, Progress, Work


def train(work: Work, *, world: World = World(), init_method: str = "") -> Iterator[Event]:  # noqa: B008
    """Obey `ROOT/ranks.json` beside `mischief.json`: `{"1": ["kill", "times"]}`."""
    directory = work.directory.parent
    directory.mkdir(exist_ok=True)
    gpus = os.environ["CUDA_VISIBLE_DEVICES"]
    (directory / f"threads-{os.environ['OMP_NUM_THREADS']}").touch()
    (directory / f"saw-{world.rank}-of-{world.size}-{gpus}").touch()
    orders = directory / "ranks.json"
    order = None
    # Another one may obey, and take the orders away, at any moment.
    with suppress(FileNotFoundError):
        order = json.loads(orders.read_text()).get(str(world.rank))
    if order is not None:
        orders.unlink()
        # The others are there by then, and wait for this one.
        time.sleep(0.3)
        fake_trainer.do(order, work, 0)
    if world.rank == 0:
        yield from fake_trainer.train(work)
        (directory / f"ended-{work.attempt}").touch()
        return
    done = directory / f"ended-{work.attempt}"
    while not done.exists():
        time.sleep(0.02)


def learn(work: Work, *, world: World, init_method: str) -> Iterator[Event]:
    """Train a network; process 1 is killed once in a step, when a checkpoint is there.

    The others are in the exchange of gradients then, and wait for it.
    """
    import ray

    node = ray.get_runtime_context().get_node_id()
    (work.directory.parent / f"node-{world.rank}-{node}").touch()
    if world.rank == 1:
        _die_in_a_step(work)
    return real.train(work, world=world, init_method=init_method)


def _die_in_a_step(work: Work) -> None:
    """Once in all attempts, in the third step after a checkpoint, before gradients are given."""
    from scaling.train.session import Session

    step, done = Session.step, work.directory.parent / "killed"
    since = 0

    def step_or_die(self: Session, *batch: Any) -> None:
        nonlocal since
        since += bool(list(work.directory.glob("*.pt")))
        if since == 3 and not done.exists():
            done.touch()
            parameter = next(p for p in self.network.parameters() if p.requires_grad)
            parameter.register_hook(_die)
        step(self, *batch)

    Session.step = step_or_die  # type: ignore[method-assign]


def _die(gradient: object) -> None:
    time.sleep(0.2)  # The others get further, and wait.
    os.kill(os.getpid(), signal.SIGKILL)


def stall(work: Work, *, world: World, init_method: str) -> Iterator[Event]:
    """Train really, but in the first attempt process 1 stops at its second report of training."""
    reports = 0
    for event in real.train(work, world=world, init_method=init_method):
        reports += isinstance(event, Progress) and event.phase == "train"
        if work.attempt == 1 and world.rank == 1 and reports == 2:
            time.sleep(3600)
        yield event
