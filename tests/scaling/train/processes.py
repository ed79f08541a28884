"""Several processes with a gloo group, for as long as a function takes."""

import multiprocessing
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from scaling.families import World
from scaling.train import distributed
from scaling.train.distributed import joined

SECONDS = 240

Function = Callable[[World, Path], Any]


def together(
    function: Function, size: int, directory: Path, step_timeout: float = SECONDS
) -> list[Any]:
    """What `function(world, directory)` returns in each of `size` processes, by rank."""
    # Forked from a process that has imported torch, once for all of a session's tests.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scaling.train.ranks", "open_clip"])
    processes = [
        context.Process(
            target=_be, args=(function, World(rank, size), directory, step_timeout), daemon=True
        )
        for rank in range(size)
    ]
    deadline = time.monotonic() + SECONDS
    try:
        for process in processes:
            process.start()
        while any(process.exitcode is None for process in processes):
            assert time.monotonic() < deadline, f"still at it after {SECONDS} s"
            assert all(not process.exitcode for process in processes), "a process failed"
            time.sleep(0.05)
        return [torch.load(directory / f"rank-{rank}.pt") for rank in range(size)]
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            process.join()


def _be(function: Function, world: World, directory: Path, step_timeout: float) -> None:
    torch.set_num_threads(1)
    distributed.STEP_TIMEOUT = timedelta(seconds=step_timeout)
    with joined(world, f"file://{directory}/meeting-{world.size}", torch.device("cpu")):
        torch.save(function(world, directory), directory / f"rank-{world.rank}.pt")
