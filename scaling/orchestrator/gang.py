"""An attempt that several processes of this machine make together, one a GPU.

They live and die together: when one fails, the others, which would wait for it, are killed, and
the failure that came first is the attempt's.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

from scaling.datasets._cores import cores
from scaling.families import World
from scaling.orchestrator.executor import Died, Done
from scaling.orchestrator.rank import Order
from scaling.orchestrator.worker import Crash, Message
from scaling.storage.scratch import held, scratch_folder, sweep
from scaling.trial import Work

_SECONDS_FOR_WITNESSES = 1.0
"""How long others may tell of a failure before its cause is decided."""

_PROGRAM = "from scaling.orchestrator.rank import main; main"


class _Rank:
    """One process, and what it says."""

    def __init__(self, order: Order, visible_gpus: str | None) -> None:
        self.log = order.log
        self.crash: tuple[float, Crash] | None = None
        self.is_open = True
        self.connection, theirs = multiprocessing.Pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # Each reads and decodes its rows on its share of the cores.
        environment["OMP_NUM_THREADS"] = str(max(1, cores() // order.world.size))
        if visible_gpus is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible_gpus
        order.log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, order.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"{_PROGRAM}({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C on a terminal is for the driver, which decides what becomes of this.
                start_new_session=True,
            )
        # If it is gone already, what it says next is the end.
        with contextlib.suppress(BrokenPipeError):
            self.connection.send(order)

    def said(self) -> Iterator[Message]:
        """What it has said and is not the end of it."""
        try:
            while self.connection.poll():
                moment, message = self.connection.recv()
                if isinstance(message, Crash):
                    self.crash = (moment, message)
                else:
                    yield message
        except (EOFError, ConnectionResetError):
            self.is_open = False
            self.process.wait()

    @property
    def was_killed(self) -> bool:
        """Whether it is gone without a word about why."""
        return not self.is_open and self.crash is None and self.process.returncode != 0


class Gang:
    """The processes of one attempt, alive until it ends or `kill` is called."""

    def __init__(
        self, trainer: str, work: Work, log: Path, visible_gpus: list[str | None]
    ) -> None:
        """Start a process for each of `visible_gpus`, which it sees as its only GPU."""
        # Held, so that what a killed driver leaves is deleted by the next gang on this machine.
        scratch = scratch_folder(None)
        sweep(scratch)
        folder = scratch / f"gang-{uuid.uuid4()}"
        self._folder = contextlib.ExitStack()
        self._folder.enter_context(held(folder))
        meeting = f"file://{folder}/meeting"
        size = len(visible_gpus)
        self._ranks: list[_Rank] = []
        for rank, visible in enumerate(visible_gpus):
            own_log = log if rank == 0 else log.with_name(f"{log.stem}-rank-{rank}{log.suffix}")
            order = Order(trainer, work, own_log, World(rank, size), meeting)
            self._ranks.append(_Rank(order, visible))

    def wait(self, seconds: float) -> list[Message | Died | Done]:
        """What has come, after at most about `seconds`; nothing follows an end or a failure."""
        found: list[Message | Died | Done] = [*self._listen(seconds)]
        if self._has_failed:
            deadline = time.monotonic() + _SECONDS_FOR_WITNESSES
            while self._open and (left := deadline - time.monotonic()) > 0:
                found += self._listen(left)
            found.append(self._cause())
            self.kill()
        elif not self._open:
            found.append(Done())
            self.kill()
        return found

    def kill(self) -> None:
        """End all processes at once."""
        for rank in self._ranks:
            rank.process.kill()
        for rank in self._ranks:
            rank.process.wait()
            rank.connection.close()
            if rank.log.exists() and not rank.log.stat().st_size:
                rank.log.unlink()
        self._folder.close()

    @property
    def _open(self) -> list[_Rank]:
        return [rank for rank in self._ranks if rank.is_open]

    @property
    def _has_failed(self) -> bool:
        return any(rank.crash or rank.was_killed for rank in self._ranks)

    def _listen(self, seconds: float) -> Iterator[Message]:
        """What rank 0 has said meanwhile; the others speak of failures only."""
        ready = wait([rank.connection for rank in self._open], seconds)
        for rank in self._open:
            if rank.connection in ready:
                messages = list(rank.said())
                if rank is self._ranks[0]:
                    yield from messages

    def _cause(self) -> Crash | Died:
        """Whoever was killed said nothing before; among those that spoke, who spoke first."""
        size = len(self._ranks)
        for number, rank in enumerate(self._ranks):
            if rank.was_killed:
                code = rank.process.returncode
                return Died(f"process {number} of {size} ended with exit code {code}: {rank.log}")
        spoke = [
            (rank.crash[0], number, rank.crash[1])
            for number, rank in enumerate(self._ranks)
            if rank.crash is not None
        ]
        _, number, crash = min(spoke, key=lambda said: said[0])
        return replace(crash, text=f"process {number} of {size}: {crash.text}")
