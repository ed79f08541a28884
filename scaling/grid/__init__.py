"""Grids: a YAML file becomes validated cells, and cells become the trials that serve them."""

from scaling.grid.expand import expand
from scaling.grid.load import load_plan, parse_grid, read_yaml
from scaling.grid.spec import Grid

__all__ = ["Grid", "expand", "load_plan", "parse_grid", "read_yaml"]
