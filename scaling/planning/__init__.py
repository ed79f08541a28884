"""What a plan will take: time, memory, disk, and what of it is done. Free of torch and Ray."""

from scaling.planning.estimate import Estimate, ModelEstimate, estimate
from scaling.planning.machine import Machine, this_machine
from scaling.planning.paces import Paces
from scaling.planning.progress import nothing_done, progress

__all__ = [
    "Estimate",
    "Machine",
    "ModelEstimate",
    "Paces",
    "estimate",
    "nothing_done",
    "progress",
    "this_machine",
]
