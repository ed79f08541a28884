"""Rows as columns of text: as wide as the terminal, or whole where a program reads them."""

import shutil
import sys
from collections.abc import Sequence

import typer

GAP = "  "
_NARROWEST = 8
"""Characters below which a column is not cut."""


def width_of_terminal() -> int | None:
    """Characters of a line, or None where nobody looks at it."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    width: int | None = None,
) -> None:
    """Print `rows` below `header`; those called in `right` end at the right.

    If they are wider than `width`, the widest columns are cut in their middles: ids and paths
    differ at their ends.
    """
    cells = [[*map(one_line, row)] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = _fitted(widths, width)
    for row in cells:
        parts = [
            cut(cell, size).rjust(size) if name in right else cut(cell, size).ljust(size)
            for name, cell, size in zip(header, row, widths, strict=True)
        ]
        typer.echo(GAP.join(parts).rstrip())


def one_line(text: str) -> str:
    """Without what would move the cursor: line breaks and controls are shown as in Python."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, size: int) -> str:
    """At most `size` characters of `text`, without its middle where it is longer."""
    if len(text) <= size:
        return text
    head = (size - 1) // 2
    return f"{text[:head]}…{text[len(text) - (size - 1 - head) :]}"


def _fitted(widths: Sequence[int], width: int) -> list[int]:
    """Widths that together fit into `width`, made of the widest first."""
    fitted = [*widths]
    room = width - len(GAP) * (len(fitted) - 1)
    while sum(fitted) > room and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted
