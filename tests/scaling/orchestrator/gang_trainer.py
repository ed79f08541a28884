"""The fake trainer on several processes: rank 0 works, the others wait and fail on demand."""

import json
import os
import time
from collections.abc import Iterator

import fake_trainer

from scaling.families import World
from scaling.trial import Event, Work


def train(work: Work, *, world: World = World(), init_method: str = "") -> Iterator[Event]:  # noqa: B008
    """Obey `ROOT/ranks.json` beside `mischief.json`: `{"1": ["kill", "times"]}`."""
    directory = work.directory.parent
    directory.mkdir(exist_ok=True)
    gpus = os.environ["CUDA_VISIBLE_DEVICES"]
    (directory / f"saw-{world.rank}-of-{world.size}-{gpus}").touch()
    orders = directory / "ranks.json"
    order = json.loads(orders.read_text()).get(str(world.rank)) if orders.exists() else None
    if order is not None:
        orders.unlink()
        # The others are there by then, and wait for this one.
        time.sleep(0.3)
        fake_trainer.do(order, 0)
    if world.rank == 0:
        yield from fake_trainer.train(work)
        (directory / f"ended-{work.attempt}").touch()
        return
    done = directory / f"ended-{work.attempt}"
    while not done.exists():
        time.sleep(0.02)
