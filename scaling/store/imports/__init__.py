"""Other people's measurements, brought in beside one's own.

A module here reads one format and gives `Imported`, measurements in one form; `recording` writes
that to the store. To add a format: a module with a function that reads it and one that recognises
it, and a line in `formats.FORMATS`.
"""

from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.formats import FORMATS, read
from scaling.store.imports.recording import ImportSummary, record
from scaling.store.imports.records import Imported, Measured

__all__ = ["FORMATS", "ColumnMap", "ImportSummary", "Imported", "Measured", "read", "record"]
