"""The folder of evaluation sets."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from scaling.findings import Finding, fine, problem, warning
from scaling.grid.expand import SETS_VARIABLE


def check(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Whether it is there; which sets a grid needs, `scaling plan` says."""
    said = environment.get(SETS_VARIABLE)
    if not said:
        yield fine("not set: needed by tasks on sets that are not made here", SETS_VARIABLE)
        return
    folder, where = Path(said), f"{SETS_VARIABLE}={said}"
    try:
        names = [each.name for each in folder.iterdir() if each.is_dir()]
    except OSError as error:
        yield problem(f"it cannot be read: {error.strerror}", where, "set it to the sets' folder")
        return
    if names:
        yield fine(f"{len(names):,} folders", where)
    else:
        yield warning("no set is in it", where, "`scaling tasks` says how to obtain them")
