"""An adversary that kills what it can find of a run and fills its disk, as a seed tells it to."""

import random
import time
from pathlib import Path

from disks import SmallDisk
from drivers import Drivers, kill

from scaling.orchestrator.reaper import processes

_SECONDS_BETWEEN = (0.5, 6.0)
_SECONDS_FULL = (0.5, 3.0)
_WEIGHTS = {"driver": 1, "raylet": 1, "slot": 2, "rank": 2, "disk": 2}
"""Of what takes the run long to recover from there is less, so that it gets on."""


class Chaos:
    """Strikes again and again for a while, and remembers what it did."""

    def __init__(self, drivers: Drivers, disk: SmallDisk | None, seed: int) -> None:
        """Without a `disk` it fills none."""
        self._drivers = drivers
        self._disk = disk
        self._random = random.Random(seed)
        self._began = time.monotonic()
        self.log = [f"seed {seed}"]
        self.done: set[str] = set()
        """What it did at least once."""

    def rage(self, seconds: float) -> None:
        """Strike for so long, or until the run has ended well.

        A driver that gave up, because its disk was full say, is started again.
        """
        while time.monotonic() < self._began + seconds:
            driver = self._drivers.running()
            if self._random.random() < 2 / 3:
                self._drivers.wait_until(lambda: self._called(b".attempt") != [], 30)
            self._drivers.wait_until(lambda: False, self._random.uniform(*_SECONDS_BETWEEN))
            if driver.poll() is None:
                self._strike()
                continue
            code = self._drivers.await_end()
            self._say(f"driver {driver.pid} ended by itself with {code}")
            if code == 0:
                return

    def _strike(self) -> None:
        """Do something that can be done."""
        victims = {
            "driver": [self._drivers.running().pid],
            "slot": self._called(b"ray::_Actor"),
            "rank": self._called(b"ray::_Rank"),
            "raylet": self._called(b"/raylet\0"),
        }
        possible = [name for name, pids in victims.items() if pids]
        possible += ["disk"] if self._disk else []
        (name,) = self._random.choices(possible, [_WEIGHTS[name] for name in possible])
        self.done.add(name)
        if name == "disk":
            self._fill_disk()
            return
        pid = self._random.choice(sorted(victims[name]))
        self._say(f"killed {name} {pid}")
        if name == "driver":
            self._drivers.kill()
        else:
            kill(pid)

    def _fill_disk(self) -> None:
        assert self._disk
        seconds = self._random.uniform(*_SECONDS_FULL)
        self._say(f"filled the disk for {seconds:.1f} s")
        self._disk.fill()
        time.sleep(seconds)
        self._disk.empty()

    def _called(self, part: bytes) -> list[int]:
        """Processes of the run with `part` in their command line."""
        return processes(lambda pid: part in _command(pid) and self._drivers.is_ours(pid))

    def _say(self, text: str) -> None:
        self.log.append(f"{time.monotonic() - self._began:6.1f} s  {text}")


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
