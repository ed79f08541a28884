"""The grid that a study was last read from, as its store keeps it."""

import yaml

from scaling.errors import GridError
from scaling.grid.load import parse_grid
from scaling.grid.spec import Grid


def recorded_grid(text: str, study: str) -> Grid:
    """The grid of `study` in `text`; raises `GridError` where this version cannot read it."""
    source = f"the grid of study {study!r} in the store"
    content = yaml.safe_load(text)
    if not isinstance(content, dict):
        raise GridError(source, ["is empty"])
    return parse_grid(content, source)
