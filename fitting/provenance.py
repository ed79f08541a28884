"""Where a number comes from: a digest of the cells it was fitted to, and what computed it."""

from __future__ import annotations

import platform
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fitting.series import Series


def data_sha256(series: Series) -> str:
    """SHA-256 of the cells that may be fitted, those held out left out; order does not matter.

    Of the sorted lines `compute_gflops,error,samples_seen`, each ended by a newline, of numbers in
    the fewest digits that give them back (Python's `repr` of a float); the last is empty where the
    samples seen are not known.
    """
    cells = series.cells
    seen = [""] * len(cells.error)
    if cells.samples_seen is not None:
        seen = [repr(count) for count in cells.samples_seen.tolist()]
    numbers = zip(cells.gflops.tolist(), cells.error.tolist(), seen, strict=True)
    lines = sorted(f"{gflops!r},{error!r},{samples}\n" for gflops, error, samples in numbers)
    return sha256("".join(lines).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that compute fits."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "pandas")},
    }
