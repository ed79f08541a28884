"""Counts of samples and amounts of compute, as people write and read them."""

import math
import re

_COUNT = re.compile(r"([0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?(?:e\+?[0-9]+)?)\s*([KMBTkmbt]?)")
_FACTOR = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def parse_count(value: object) -> int:
    """A positive whole number from `12800000`, `12.8M`, `3.07B` or `1e6`.

    Raises `ValueError` with what is allowed for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    text = repr(value) if isinstance(value, float) else str(value).strip()
    match = _COUNT.fullmatch(text)
    if match and not isinstance(value, bool):
        count = float(match[1].replace("_", "")) * _FACTOR[match[2].upper()]
        # 3.07 * 1e9 is not a whole number in binary; the nearest whole one is what was meant.
        if 1 <= count < math.inf and abs(count - round(count)) < 1e-6 * count:
            return round(count)
    raise ValueError(
        f"{value!r} is not a count; write a positive whole number, or one with K, M, B or T: 12.8M"
    )


def format_count(count: float) -> str:
    """A count in three digits or so: 12.8M, 64K, 512; the inverse of `parse_count` in print."""
    for suffix, factor in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= factor:
            return f"{count / factor:.4g}{suffix}"
    return f"{count:.4g}"


def format_gflops(gflops: float) -> str:
    """An amount of compute in GFLOPs: 3.2e+10, or plain below a million."""
    if gflops >= 1e6:
        return f"{gflops:.2e}"
    return f"{gflops:,.0f}" if gflops >= 999.5 else f"{gflops:.3g}"


def format_seconds(seconds: float) -> str:
    """A duration as people say it: 45 s, 3 min 20 s, 2 h 05 min, 3 d 4 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    if seconds < 86400:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 86400)} d {int(seconds % 86400 // 3600)} h"


def format_bytes(count: float) -> str:
    """Bytes for people, with three digits."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.{3 if count < 1000 * size else 4}g} {unit}"
    return f"{count / 2**10:.3g} KiB"
