"""Parts of statements."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def chunks(ids: Sequence[T], size: int = 10_000) -> Iterator[Sequence[T]]:
    """`ids` in parts that fit into one statement (SQLite: at most 32,766 variables)."""
    return (ids[start : start + size] for start in range(0, len(ids), size))
