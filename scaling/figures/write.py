"""A figure as files: pictures, the numbers behind it, and a table of its laws."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.errors import ScalingError
from scaling.figures.draw import Figure

if TYPE_CHECKING:
    from fitting.style import Column

_UNDATED: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}
"""Metadata without the time, so that the same numbers give the same file."""
_LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"})
_PARAMETERS = (("A", ".4g"), ("lnB", ".2f"), ("alpha", ".4f"), ("E", ".4f"))


def write(
    figure: Figure, output: Path, column: "Column", formats: Sequence[str]
) -> tuple[Path, ...]:
    """Write NAME.FORMAT for each format, NAME.csv, and NAME.tex if laws were fitted.

    Each file appears whole or not at all. Raises `ScalingError` where one cannot be written.
    """
    import matplotlib as mpl

    from fitting.figures import figure_of
    from fitting.style import PAPER

    contents: dict[str, bytes] = {}
    with mpl.rc_context({**PAPER, "svg.hashsalt": figure.name}):
        drawn = figure_of(figure.panels, column)
        for name in formats:
            picture = io.BytesIO()
            drawn.savefig(picture, format=name, metadata=_UNDATED[name])
            contents[name] = picture.getvalue()
    contents["csv"] = _csv(figure).encode()
    if any(panel.coefficients() for panel in figure.panels):
        contents["tex"] = latex(figure).encode()
    paths = []
    for suffix, content in contents.items():
        path = output / f"{figure.name}.{suffix}"
        _replace(path, content)
        paths.append(path)
    return tuple(paths)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ScalingError(f"{path} cannot be written: {error.strerror}") from error


def _csv(figure: Figure) -> str:
    rows = [row for panel in figure.panels for row in panel.rows()]
    text = io.StringIO()
    columns = dict.fromkeys(column for row in rows for column in row)
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def latex(figure: Figure) -> str:
    r"""A `tabular` of the laws, a row for each; needs ``\usepackage{booktabs}``.

    A law without one of the parameters has a dash there. Of a line (compute-optimal samples) A is
    its factor and alpha its exponent with the sign changed.
    """
    lines = [
        f"% {figure.name}: {figure.shows}",
        r"\begin{tabular}{llrrrrrrr}",
        r"\toprule",
        r"panel & series & $A$ & $\ln B$ & $\alpha$ & $E$ & points & RMSE & held out \\",
        r"\midrule",
        *(_row(entry) for panel in figure.panels for entry in panel.coefficients()),
        r"\bottomrule",
        r"\end{tabular}",
        "",
    ]
    return "\n".join(lines)


def _row(entry: dict[str, Any]) -> str:
    held_out, rmse = entry.get("held_out"), entry.get("rmse")
    cells = [
        str(entry["panel"]).translate(_LATEX),
        str(entry["family"]).translate(_LATEX),
        *(_number(entry["parameters"].get(name), style) for name, style in _PARAMETERS),
        str(entry["n_points"]),
        _number(rmse, ".4f"),
        _number(held_out and held_out["rmse"], ".4f"),
    ]
    return " & ".join(cells) + r" \\"


def _number(value: float | None, style: str) -> str:
    return "--" if value is None else f"{value:{style}}"
