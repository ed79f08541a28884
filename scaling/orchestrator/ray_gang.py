"""An attempt that several Ray actors make together, on one node or several.

They live and die together, as those of `gang` do on one machine: a placement group brings them up
all or none, and when one fails the others, which would wait for it, are killed.
"""

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from scaling.families import World
from scaling.orchestrator.executor import Died, Done
from scaling.orchestrator.places import Place, Share
from scaling.orchestrator.ray_slot import limit_to
from scaling.orchestrator.stopping import saving_on_sigterm
from scaling.orchestrator.worker import Crash, Message, attempt
from scaling.trial import Work

_SECONDS_FOR_WITNESSES = 1.0
"""How long others may tell of a failure before its cause is decided."""

_LOST_PARTNER = re.compile(
    r"connection (closed|reset|refused|was (closed|reset))|broken pipe|timed out waiting"
    r"|failed to recv|Dist(Backend|Network|Store)Error|EADDRINUSE",
    re.IGNORECASE,
)
"""How a process says that another one is gone: gloo, NCCL and the store through which they meet
in torch 2. A node that is lost is known to Ray only seconds after its partners have noticed."""


class RayGang:
    """The processes of one attempt; made for it, and killed after it."""

    def __init__(self, place: Place, trainer: str) -> None:
        """Start a process for each share of `place`."""
        import ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self.place = place
        self.until = inf
        """When (`time.monotonic`) the attempt is expected to end."""
        self._streams: dict[Any, int] = {}
        self._failures: dict[int, tuple[float, Crash | Died]] = {}
        self._deadline: float | None = None
        self._group = placement_group(
            [_bundle(share) for share in place.shares],
            strategy="STRICT_PACK" if len(place.nodes) == 1 else "PACK",
            # `Capacity` has decided which processes go where.
            bundle_label_selector=[{"ray.io/node-id": share.node} for share in place.shares],
        )
        self._actors = [
            ray.remote(
                num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=0, max_task_retries=0
            )(_Rank)
            .options(
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    self._group, placement_group_bundle_index=number
                )
            )
            .remote(trainer, share)
            for number, share in enumerate(place.shares)
        ]

    @property
    def is_idle(self) -> bool:
        """A gang is made when there is something to do, and not used twice."""
        return False

    @property
    def streams(self) -> list[Any]:
        """What to wait for: those that still may say something."""
        return list(self._streams)

    @property
    def deadline(self) -> float | None:
        """When (`time.monotonic`) a failure is decided though some have not ended yet."""
        return self._deadline

    def start(self, work: Work, log: Path) -> None:
        """See `Slot.start`."""
        # A promise: the others wait on their nodes until rank 0 has found a port on its own.
        meeting = self._actors[0].meeting.remote()
        size = len(self._actors)
        for rank, actor in enumerate(self._actors):
            own_log = log if rank == 0 else log.with_name(f"{log.stem}-rank-{rank}{log.suffix}")
            stream = actor.attempt.options(num_returns="streaming").remote(
                work, own_log, World(rank, size), meeting
            )
            self._streams[stream] = rank

    def next(self, stream: Any) -> list[Message | Died | Done]:
        """What a process has said: a message, or nothing if it only ended or failed."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        rank = self._streams[stream]
        try:
            moment, message = ray.get(next(stream))
        except StopIteration:
            del self._streams[stream]
            return [] if self._streams or self._failures else [Done()]
        except RayTaskError as error:
            self._fail(rank, stream, Crash("bug", " ".join(str(error).split())), time.time())
            return []
        except RayError as error:
            self._fail(rank, stream, Died(" ".join(str(error).split())), time.time())
            return []
        if isinstance(message, Crash):
            self._fail(rank, stream, message, moment)
            return []
        return [message]

    def lose(self, text: str) -> None:
        """Take note that a node is gone, whatever the processes say."""
        self._failures[-1] = (0.0, Died(text))
        self._deadline = time.monotonic()

    def verdict(self) -> Crash | Died | None:
        """What the attempt failed of, once that is known."""
        if self._deadline is None or (self._streams and time.monotonic() < self._deadline):
            return None
        return _cause(self._failures, len(self._actors))

    def kill(self) -> None:
        """End all processes, whatever they do, and free what they had."""
        import ray
        from ray.util.placement_group import remove_placement_group

        for actor in self._actors:
            ray.kill(actor)
        remove_placement_group(self._group)

    def _fail(self, rank: int, stream: Any, failure: Crash | Died, moment: float) -> None:
        del self._streams[stream]
        self._failures[rank] = (moment, failure)
        if self._deadline is None:
            self._deadline = time.monotonic() + _SECONDS_FOR_WITNESSES


def _cause(failures: dict[int, tuple[float, Crash | Died]], size: int) -> Crash | Died:
    """Whoever was killed said nothing before; among those that spoke, who spoke first."""
    spoke: list[tuple[float, int, Crash]] = []
    for rank, (moment, failure) in failures.items():
        if isinstance(failure, Died):
            return failure if rank < 0 else Died(f"process {rank} of {size}: {failure.text}")
        spoke.append((moment, rank, failure))
    bugs = [said for said in spoke if not _LOST_PARTNER.search(said[2].text)]
    _, rank, crash = min(bugs or spoke, key=lambda said: said[0])
    text = f"process {rank} of {size}: {crash.text}"
    return replace(crash, text=text) if bugs else Died(text)


def _bundle(share: Share) -> dict[str, float]:
    return {"CPU": share.cpus, **({"GPU": share.gpus} if share.gpus else {})}


class _Rank:
    """What runs in each process."""

    def __init__(self, trainer: str, share: Share) -> None:
        self._trainer = trainer
        limit_to(share)

    def meeting(self) -> str:
        """Where the processes meet: a port of this node that is free."""
        import ray

        with socket.socket() as probe:
            probe.bind(("", 0))
            return f"tcp://{ray.util.get_node_ip_address()}:{probe.getsockname()[1]}"

    def attempt(
        self, work: Work, log: Path, world: World, init_method: str
    ) -> Iterator[tuple[float, Message]]:
        """All that comes of it from rank 0; from the others, only what ended them."""
        where = {"world": world, "init_method": init_method}
        with saving_on_sigterm(work):
            for message in attempt(self._trainer, work, log, **where):
                if world.rank == 0 or isinstance(message, Crash):
                    yield time.time(), message
