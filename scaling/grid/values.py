"""Small values with a syntax of their own: conditions on samples seen, lengths of warm-ups."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from scaling.units import format_count, parse_count

_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(frozen=True)
class Condition:
    """A comparison of samples seen with a number, e.g. '<= 3.1M'."""

    comparison: str
    samples_seen: int

    def __call__(self, samples_seen: int) -> bool:
        """Whether `samples_seen` meets the condition."""
        return _COMPARISONS[self.comparison](samples_seen, self.samples_seen)

    def __str__(self) -> str:
        """As it is written in a grid."""
        return f"{self.comparison} {format_count(self.samples_seen)}"


def parse_condition(value: object) -> object:
    """A `Condition` from '<= 3.1M', or from a bare count, which means equality."""
    if value is None or isinstance(value, Condition):
        return value
    match = re.fullmatch(r"(<=|>=|<|>|==)?\s*(\S+)", str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a condition; write e.g. '<= 3.1M' or '> 640M'")
    return Condition(match[1] or "==", parse_count(match[2]))


@dataclass(frozen=True)
class Warmup:
    """How long the learning rate rises: steps, samples, or a percentage of samples seen."""

    amount: float
    unit: Literal["steps", "samples", "%"]

    def samples(self, batch_size: int, samples_seen: int) -> int:
        """The same in samples, for a trial of this batch size and length."""
        factor = {"steps": batch_size, "samples": 1, "%": samples_seen / 100}[self.unit]
        return round(self.amount * factor)

    def __str__(self) -> str:
        """As it is written in a grid."""
        return f"{format_count(self.amount)}{'' if self.unit == '%' else ' '}{self.unit}"


def parse_warmup(value: object) -> object:
    """A `Warmup` from '1500 steps', '96K samples', '10%' or a bare count of samples."""
    if isinstance(value, Warmup):
        return value
    text = str(value).strip()
    if percent := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%", text):
        if float(percent[1]) < 100:
            return Warmup(float(percent[1]), "%")
    elif match := re.fullmatch(r"(\S+?)\s*(steps?|samples)?", text):
        unit: Literal["steps", "samples"] = (
            "steps" if (match[2] or "").startswith("step") else "samples"
        )
        if match[1] == "0":
            return Warmup(0, unit)
        try:
            return Warmup(parse_count(match[1]), unit)
        except ValueError:
            pass
    raise ValueError(
        f"{value!r} is not a warm-up; write e.g. '1500 steps', '96K samples' or '10%'"
    )
