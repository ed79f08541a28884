"""Attempts that a single Ray actor makes, one after the other."""

import os
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

from scaling.orchestrator.executor import Died, Done
from scaling.orchestrator.places import Place, Share
from scaling.orchestrator.stopping import saving_on_sigterm
from scaling.orchestrator.worker import Crash, Message, attempt
from scaling.trial import Work


class RaySlot:
    """One actor, and the stream of messages of the attempt that it makes."""

    deadline: float | None = None

    def __init__(self, place: Place, trainer: str) -> None:
        """Start a process on the node of `place`."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.place = place
        self.until = inf
        """When (`time.monotonic`) the attempt is expected to end."""
        self._stream: Any = None
        self._lost: Died | None = None
        (share,) = place.shares
        # An actor that died is not made again by Ray, nor a call repeated: the driver decides.
        actor = ray.remote(
            num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=0, max_task_retries=0
        )(_Actor)
        self._actor = actor.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(share.node, soft=False)
        ).remote(trainer, share)

    @property
    def is_idle(self) -> bool:
        """Whether no attempt is being made."""
        return self._stream is None

    @property
    def streams(self) -> list[Any]:
        """What to wait for."""
        return [] if self._stream is None else [self._stream]

    def start(self, work: Work, log: Path) -> None:
        """See `Slot.start`."""
        self._stream = self._actor.attempt.options(num_returns="streaming").remote(work, log)

    def next(self, stream: Any) -> list[Message | Died | Done]:
        """The next message of the attempt, which is there."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            return [ray.get(next(stream))]
        except StopIteration:
            self._stream = None
            return [Done()]
        except RayTaskError as error:
            return [Crash("bug", " ".join(str(error).split()))]
        except RayError as error:
            return [Died(str(error))]

    def lose(self, text: str) -> None:
        """Take note that the node is gone, should the process not have been heard of."""
        self._lost = Died(text)

    def verdict(self) -> Died | None:
        """What the attempt failed of that its stream did not say."""
        return self._lost

    def kill(self) -> None:
        """End the process, whatever it does."""
        import ray

        ray.kill(self._actor)


class _Actor:
    """What runs in a slot's process."""

    def __init__(self, trainer: str, share: Share) -> None:
        self._trainer = trainer
        limit_to(share)

    def attempt(self, work: Work, log: Path) -> Iterator[Message]:
        with saving_on_sigterm(work):
            yield from attempt(self._trainer, work, log)


def limit_to(share: Share) -> None:
    """Keep this process, which Ray started, to its share of the node."""
    if not share.gpus:
        # Ray leaves all GPUs visible to actors that asked for none.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # Ray does this too, but not where somebody's shell had set the variable already.
    os.environ["OMP_NUM_THREADS"] = str(max(1, int(share.cpus)))
