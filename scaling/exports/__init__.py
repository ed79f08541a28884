"""The store as one tidy table in a file: what its columns mean, and how each format is written."""

from scaling.exports.columns import COLUMNS, Column, columns_of
from scaling.exports.files import FORMATS, write

__all__ = ["COLUMNS", "FORMATS", "Column", "columns_of", "write"]
