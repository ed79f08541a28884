"""The published measurements that are shipped with the project, as a table of points."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import scaling

if TYPE_CHECKING:
    import pandas as pd

_PACKAGE = Path(scaling.__file__).parent


def folder() -> Path:
    """Where they are: within an installed package, or beside it in a checkout."""
    installed = _PACKAGE / "experiments" / "published"
    return installed if installed.is_dir() else _PACKAGE.parent / "experiments" / "published"


def published_points() -> "pd.DataFrame":
    """What `scaling.points.load_points` gives of a store into which they were imported."""
    from scaling.points import Selection, load_points
    from scaling.store import Store
    from scaling.store.imports import read, record

    with TemporaryDirectory() as place:
        db = Path(place) / "published.db"
        with Store(db) as store:
            record(store, read(folder(), "published"))
        return load_points(db, Selection(metric="all"))[0]
