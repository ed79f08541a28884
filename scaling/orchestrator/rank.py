"""One of the processes of a gang.

It has a pipe to the driver, which sends what is to be done and hears what comes of it. Not a child
of `multiprocessing`, which would import the driver's script again.
"""

import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from scaling.families import World
from scaling.orchestrator.stopping import saving_on_sigterm
from scaling.orchestrator.worker import Crash, Message, attempt
from scaling.trial import Work


class Order(NamedTuple):
    """What a process is started for."""

    trainer: str
    work: Work
    log: Path
    world: World
    init_method: str


def main(descriptor: int) -> None:
    """Make an attempt for the driver at the other end of a pipe.

    Rank 0 says all that comes of it; the others say only what ended them.
    """
    driver: Connection[tuple[float, Message], Order] = Connection(descriptor)
    order = driver.recv()
    where = {"world": order.world, "init_method": order.init_method}
    with saving_on_sigterm(order.work):
        for message in attempt(order.trainer, order.work, order.log, **where):
            if order.world.rank == 0 or isinstance(message, Crash):
                driver.send((time.monotonic(), message))
    driver.close()
