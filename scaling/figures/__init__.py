"""Figures by recipe: `experiments/figures/*.yaml` choose, `fitting.figures` computes."""

from scaling.figures.draw import Figure, draw
from scaling.figures.recipe import Override, Recipe, recipes
from scaling.figures.write import write

__all__ = ["Figure", "Override", "Recipe", "draw", "recipes", "write"]
