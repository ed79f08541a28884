"""How figures look: one style for papers and for screens, one colour and marker a contestant.

Nothing here changes matplotlib's global state: figures are made inside `mpl.rc_context(...)`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogFormatterMathtext,
    LogLocator,
    NullFormatter,
    NullLocator,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

Column = Literal["single", "double"]

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.framealpha": 0.7,
    "legend.edgecolor": "none",
    "legend.fontsize": 8.0,
    "figure.dpi": 160,
}
"""For screens: figures of `scaling plot`, `scaling backtest -o` and learning curves."""

PAPER: dict[Any, Any] = {
    **STYLE,
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.0,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.0,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.0,
    "savefig.dpi": 200,
    # Letters stay letters in a PDF, so that a reader can search and a publisher can check fonts.
    "pdf.fonttype": 42,
}
"""For a column of a paper, whose text is about as large as its captions."""

WIDTHS: dict[Column, float] = {"single": 3.3, "double": 6.9}
"""Inches of one and of two columns of the usual conference and journal pages."""
PANEL_HEIGHT = 2.5
"""Inches of a panel that is one column wide."""


@dataclass(frozen=True)
class Look:
    """Colour, distinct under colour blindness (Okabe and Ito 2008), and marker, for grey print."""

    color: str
    marker: str


LOOKS = {
    "clip": Look("#0072B2", "o"),
    "mammut": Look("#D55E00", "s"),
    "coca": Look("#009E73", "^"),
    "siglip": Look("#CC79A7", "D"),
    "cap": Look("#E69F00", "v"),
}
"""Of families, the same in every figure."""
DATASET_LOOKS = {
    "datacomp_1b": Look("#332288", "o"),
    "relaion2b-en": Look("#CC6677", "s"),
    "dfn_2b": Look("#117733", "^"),
}
"""Of training sets, from the muted scheme of Tol 2021, so that none is taken for a family."""
SCHEDULE_LOOKS = {
    "cosine": Look("#444444", "o"),
    "const": Look("#999933", "s"),
    "const-cooldown": Look("#AA4499", "^"),
}
"""Of learning-rate schedules, from the same scheme."""
OTHER_LOOKS = (
    Look("#56B4E9", "P"),
    Look("#000000", "X"),
    Look("#7F7F7F", "p"),
    Look("#882255", "<"),
)
_KNOWN = LOOKS | DATASET_LOOKS | SCHEDULE_LOOKS

ERROR_TICKS = ((1, 1.5, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 5, 7), (1, 2, 5), (1,))
"""Digits of the ticks of the error axis, from dense to sparse."""
MOST_ERROR_TICKS = 9


def look_of(name: str, names: Sequence[str]) -> Look:
    """A contestant's look: the same in every figure if it is known, else by its place."""
    if name in _KNOWN:
        return _KNOWN[name]
    others = sorted(set(names) - _KNOWN.keys())
    return OTHER_LOOKS[others.index(name) % len(OTHER_LOOKS)]


def paper_size(panels: int, column: Column) -> tuple[int, int, tuple[float, float]]:
    """Rows, columns and inches of a figure of so many panels in a column of a paper."""
    columns = 1 if column == "single" or panels == 1 else 2
    rows = -(-panels // columns)
    height = PANEL_HEIGHT * 1.5 if column == "double" and columns == 1 else PANEL_HEIGHT
    return rows, columns, (WIDTHS[column], rows * height + 0.3)


def powers_raised(text: str, *, math: bool = False) -> str:
    """`text` with 7.0e+10 as a power of ten; `math` if it stands between dollars already."""
    edge = "" if math else "$"

    def raised(match: re.Match[str]) -> str:
        sign = "-" if match[2] == "-" else ""
        return rf"{edge}{match[1]}{{\times}}10^{{{sign}{match[3]}}}{edge}"

    return re.sub(r"([\d.]+)e([+-]?)0*(\d+)", raised, text)


def label_errors(ax: Axes, low: float, high: float) -> None:
    """Ticks such as 0.2, 0.3, 0.5: a logarithmic axis of one decade would show a single one."""
    for digits in ERROR_TICKS:
        ticks = [digit * 10.0**power for power in range(-8, 4) for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= MOST_ERROR_TICKS:
            break
    ax.yaxis.set_major_locator(FixedLocator(inside))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def label_powers(ax: Axes) -> None:
    """Compute or samples as powers of ten, every decade that fits."""
    ax.xaxis.set_major_locator(LogLocator(base=10, numticks=8))
    ax.xaxis.set_major_formatter(LogFormatterMathtext())
    ax.xaxis.set_minor_formatter(NullFormatter())
