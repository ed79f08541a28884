"""The trials that run now as a table: on the driver's terminal, and on others'."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scaling.units import format_count

_BAR_FROM_COLUMNS = 110
"""Narrower screens show how far a trial is as a number alone, and not where it ends."""

_BAR_WIDTH = 20
_WIDTH_OF_NUMBERS = 48
"""Of all columns but the trial's, with the space between them."""

_WIDTH_MORE_IF_WIDE = _BAR_WIDTH + 2 + len("10.24M/12.8M") - len("samples")


def running_table(running: Sequence[Mapping[str, Any]], shown: int, columns: int) -> Table:
    """At most `shown` of the trials `running` (see `status_file.described`), `columns` wide."""
    is_wide = columns >= _BAR_FROM_COLUMNS
    has_gpu = any(trial["gpu_bytes"] for trial in running)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("trial", no_wrap=True)
    if is_wide:
        table.add_column("", width=_BAR_WIDTH)
    for heading in ("%", "samples", "samples/s", "loss", *(["GPU GiB"] if has_gpu else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("phase", no_wrap=True)
    others = _WIDTH_OF_NUMBERS + (_WIDTH_MORE_IF_WIDE if is_wide else 0)
    for trial in running[:shown]:
        cells: list[Any] = [_shortened(trial["trial"], max(16, columns - others))]
        if is_wide:
            bar = ProgressBar(total=1.0, completed=trial["fraction"], width=_BAR_WIDTH)
            cells.append(bar)
        rate, loss, seen = trial["samples_per_second"], trial["loss"], trial["samples_seen"]
        cells += [
            f"{trial['fraction']:.0%}",
            format_count(seen) + (f"/{format_count(trial['end'])}" if is_wide else ""),
            f"{rate:,.0f}" if rate else "",
            "" if loss is None else f"{loss:.3f}",
        ]
        if has_gpu:
            cells.append(f"{trial['gpu_bytes'] / 2**30:.1f}" if trial["gpu_bytes"] else "")
        table.add_row(*cells, trial["phase"])
    if (hidden := len(running) - shown) > 0:
        table.add_row(f"and {hidden} more")
    return table


def _shortened(trial_id: str, columns: int) -> Text:
    """A trial's id in at most `columns`: its digest, the end, is what tells it from others."""
    if len(trial_id) <= columns:
        return Text(trial_id)
    head = columns * 2 // 3
    return Text(f"{trial_id[:head]}…{trial_id[-(columns - head - 1) :]}")
