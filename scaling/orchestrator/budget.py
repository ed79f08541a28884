"""What a run may spend, as people write it: GFLOPs, GPU-hours, a moment."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from scaling.errors import ScalingError

_DURATION = re.compile(
    r"\+?(?=[0-9.])(?:([0-9.]+)d)?(?:([0-9.]+)h)?(?:([0-9.]+)m)?(?:([0-9.]+)s)?"
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of one run; None sets none. What earlier runs spent does not count."""

    gflops: float | None = None
    """Forward GFLOPs of training, in the counting of `scaling plan`; never exceeded."""
    gpu_hours: float | None = None
    """Time that trials occupy their GPUs. One that asks for a GPU counts, on a CPU machine too."""
    deadline: datetime | None = None
    """When the run ends; with a time zone."""

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return (self.gflops, self.gpu_hours, self.deadline) != (None, None, None)


def parse_deadline(text: str, now: datetime) -> datetime:
    """A moment from `2026-05-01T06:00` (local time, unless it says which), `6h` or `+1d12h30m`.

    Raises `ScalingError` for anything else, and for a moment that has passed.
    """
    try:
        moment = _parse(text.strip(), now)
    except (ValueError, OverflowError) as error:
        raise ScalingError(
            f"--deadline: {text!r} is neither a time nor a duration; write 2026-05-01T06:00, "
            "6h or +1d12h30m"
        ) from error
    if moment <= now:
        raise ScalingError(f"--deadline: {text!r} has passed; it is {now:%Y-%m-%dT%H:%M:%S} now")
    return moment


def _parse(text: str, now: datetime) -> datetime:
    if match := _DURATION.fullmatch(text):
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return now + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return datetime.fromisoformat(text).astimezone()
