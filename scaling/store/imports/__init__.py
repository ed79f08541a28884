"""Other people's measurements, brought in beside one's own.

A module here reads one format and gives `Imported`, measurements in one form; `recording` writes
that to the store; `trees` does so for each file of a folder. To add a format: a module with a
function that reads it, a line in `formats.FORMATS`, and how it is recognised beside that.
"""

from scaling.store.imports.column_map import ColumnMap
from scaling.store.imports.formats import FORMATS, read
from scaling.store.imports.recording import ImportSummary, record
from scaling.store.imports.records import Imported, Measured
from scaling.store.imports.trees import TreeSummary, import_tree

__all__ = [
    "FORMATS",
    "ColumnMap",
    "ImportSummary",
    "Imported",
    "Measured",
    "TreeSummary",
    "import_tree",
    "read",
    "record",
]
