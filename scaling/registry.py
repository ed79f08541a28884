"""Names to objects: a module in a folder is a registration, and so is an entry point.

To add a family, a dataset or an evaluation task is to add one file (or folder) whose module holds
the object; a package elsewhere adds its own through an entry point of the group. Names are known
without importing anything, so that plans stay quick.
"""

import importlib
import pkgutil
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from scaling.errors import ScalingError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """The objects called `attribute` in the modules of `package`, by the modules' names."""

    def __init__(self, kind: str, package: str, attribute: str) -> None:
        """`kind` is the word for messages; modules that begin with '_' are not registrations."""
        self.kind = kind
        self.package = package
        self.attribute = attribute

    @cached_property
    def _modules(self) -> frozenset[str]:
        paths = importlib.import_module(self.package).__path__
        names = (module.name for module in pkgutil.iter_modules(paths))
        return frozenset(name for name in names if not name.startswith("_"))

    @cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.package)}

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted."""
        return tuple(sorted(self._modules | self._entry_points.keys()))

    def __contains__(self, name: object) -> bool:
        """Whether something is registered under `name`."""
        return name in self._modules or name in self._entry_points

    def get(self, name: str) -> T:
        """The object registered under `name`; raises `ScalingError` with the nearest name."""
        if name in self._modules:
            module = importlib.import_module(f"{self.package}.{name}")
            found: T = getattr(module, self.attribute)
            return found
        if name in self._entry_points:
            loaded: T = self._entry_points[name].load()
            return loaded
        raise ScalingError(unknown(self.kind, name, self.names()))
