"""`scaling doctor`: whether a store, its files and this machine are sound. Nothing is written.

Each check is a function that gives findings (`scaling.findings`): of the rows in
`scaling.store.integrity`, of the rest in the modules here.
"""

from scaling.doctor.examination import Section, examine

__all__ = ["Section", "examine"]
