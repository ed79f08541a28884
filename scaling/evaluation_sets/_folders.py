"""Where an evaluation set is on this machine."""

from pathlib import Path

from scaling.errors import DataError, unknown


def set_folder(name: str, root: Path | None) -> Path:
    """The folder `name` of the folder of evaluation sets `root`, or by itself if it is absolute.

    Raises `DataError` if it is not there, with the nearest name that is.
    """
    asked = Path(name).expanduser()
    if not asked.is_absolute() and root is None:
        raise DataError(
            f"evaluation set {name}: in which folder? Say `evaluation_sets: FOLDER` in the grid, "
            "or set SCALING_EVALUATION_SETS"
        )
    folder = (root or Path()) / asked
    if folder.is_dir():
        return folder
    if not folder.parent.is_dir():
        raise DataError(f"evaluation set {name}: there is no folder {folder.parent}")
    known = [path.name for path in folder.parent.iterdir() if path.is_dir()]
    raise DataError(f"{folder.parent}: {unknown('evaluation set', folder.name, known)}")


def stays_below(path: str) -> str:
    """`path`, if it is absolute or leads to something in a folder; raises `ValueError`."""
    if not Path(path).expanduser().is_absolute() and ".." in Path(path).parts:
        raise ValueError(
            f"{path!r} leads out of the folder of evaluation sets; name a folder in it, or an "
            "absolute path"
        )
    return path
