"""What no order goes below where trials occupy several devices at once.

Of trials that occupy at least w of all W devices, floor(W / w) fit beside each other. While the
longest chain of a narrower trial goes on, P seconds on p devices, only floor((W - p) / w) do. Let
them take S seconds together, n and m be these two numbers, and T the whole run: then

    S <= m P + n (T - P),  so  T >= (S + (n - m) P) / n.
"""

from collections.abc import Iterable
from dataclasses import dataclass

_EPSILON = 1e-6


@dataclass(frozen=True)
class Job:
    """A trial."""

    seconds: float
    devices: float
    path: float
    """Seconds from its start to the end of what needs it, on as many devices throughout."""


def gang_bound(jobs: Iterable[Job], devices: float) -> float:
    """The largest of these bounds over all widths, in seconds."""
    together: dict[float, float] = {}
    paths: dict[float, float] = {}
    for job in jobs:
        together[job.devices] = together.get(job.devices, 0.0) + job.seconds
        paths[job.devices] = max(paths.get(job.devices, 0.0), job.path)
    bound = wide = 0.0
    for width in sorted(together, reverse=True):
        wide += together[width]
        alone = _at_once(devices, width)
        bound = max(bound, wide / alone)
        for narrower, path in paths.items():
            if narrower < width:
                beside = _at_once(devices - narrower, width)
                bound = max(bound, (wide + (alone - beside) * path) / alone)
    return bound


def _at_once(devices: float, width: float) -> int:
    return int(devices / width + _EPSILON)
