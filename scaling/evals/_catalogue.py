"""The tasks that every grid may name: `experiments/evals/*.yaml`."""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

import scaling
from scaling.errors import ScalingError
from scaling.evals._declared import Task

_PACKAGE = Path(scaling.__file__).parent


def catalogue_folder() -> Path:
    """Where the files are: within an installed package, or beside it in a checkout."""
    installed = _PACKAGE / "experiments" / "evals"
    return installed if installed.is_dir() else _PACKAGE.parent / "experiments" / "evals"


@cache
def declared(section: str) -> Mapping[str, tuple[Path, Any]]:
    """What the files declare in `tasks` or `suites`, by name, and in which of them."""
    found: dict[str, tuple[Path, Any]] = {}
    for path, content in _contents():
        for name, value in content.get(section, {}).items():
            if name in found:
                raise ScalingError(f"{path}: {name} is declared in {found[name][0]} as well")
            found[name] = (path, value)
    return found


@cache
def _contents() -> tuple[tuple[Path, Mapping[str, Any]], ...]:
    paths = sorted(catalogue_folder().glob("*.yaml"))
    return tuple((path, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in paths)


class Catalogue(Mapping[str, Task]):
    """Tasks by name, read when first asked for; each is parsed when looked up."""

    @cached_property
    def _parsed(self) -> dict[str, Task]:
        return {}

    def __getitem__(self, name: str) -> Task:
        """The task of this name; raises `KeyError`, and `ValueError` if it is declared wrongly."""
        if name not in self._parsed:
            _, value = declared("tasks")[name]
            self._parsed[name] = Task.parse(name, value)
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of files."""
        return iter(declared("tasks"))

    def __len__(self) -> int:
        """How many tasks there are."""
        return len(declared("tasks"))


CATALOGUE = Catalogue()
