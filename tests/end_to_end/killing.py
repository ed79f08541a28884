"""An adversary that ends drivers and workers once the store has so many results."""

import random
from pathlib import Path
from typing import Literal

from drivers import Drivers, kill

Victim = Literal["driver", "worker", "both"]


class Adversary(Drivers):
    """Starts `scaling run`, and kills its processes at moments drawn from a seed."""

    def __init__(self, grid: Path, db: Path, seed: int) -> None:
        super().__init__(grid, db)
        self._random = random.Random(seed)

    def strike(self, victim: Victim, records: int) -> bool:
        """Kill `victim` once the store has so many results; False if the run ended before.

        Every third driver is killed while it starts, at any moment of that.
        """
        driver = self.running()
        if victim == "driver" and self._random.random() < 1 / 3:
            self.wait_until(lambda: False, self._random.uniform(0, 5))
        else:
            self.wait_until(lambda: self.records() >= records and self.workers() != [])
            self.wait_until(lambda: False, self._random.uniform(0, 0.3))
        if driver.poll() is not None:
            return False
        if victim != "driver":
            for pid in self._random.sample(workers := self.workers(), min(1, len(workers))):
                kill(pid)
        if victim != "worker":
            self.kill()
        return True
