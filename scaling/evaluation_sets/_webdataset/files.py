"""The files of a set, found and checked, without a look into its shards.

The layout is that of CLIP_benchmark's `build_wds_dataset` and DataComp's `wds_*_test` folders.
"""

from dataclasses import dataclass
from pathlib import Path

from scaling.datasets._webdataset.shards import Shard, find_shards
from scaling.errors import DataError, unknown
from scaling.evaluation_sets._folders import set_folder
from scaling.evaluation_sets._webdataset.options import WebdatasetOptions

_TRUTHS_OF_TYPE = {
    "retrieval": ("captions", "choices"),
    "multilabel": ("multilabel",),
    "classification": ("labels", "attributes"),
}
"""By what dataset_type.txt says."""


@dataclass(frozen=True)
class SetFiles:
    """A set that is here."""

    folder: Path
    shards: tuple[Shard, ...]
    class_names: tuple[str, ...]
    """Empty for texts."""
    templates: tuple[str, ...]


def find_set(options: WebdatasetOptions, root: Path | None) -> SetFiles:
    """The set that `options` name; raises `DataError` if something of it is missing or wrong."""
    folder = set_folder(options.folder, root)
    _check_type(folder, options)
    shards = _shards(folder / options.split)
    if options.truth in ("captions", "choices"):
        return SetFiles(folder, shards, (), ())
    # One class of CLEVR Distance, as it is published, has a blank for its name.
    names = _lines(folder / "classnames.txt", may_be_blank=True)
    if names is None:
        raise DataError(f"{folder}: has no classnames.txt, which names a class a line")
    if not names:
        raise DataError(f"{folder / 'classnames.txt'}: names no class")
    return SetFiles(folder, shards, names, _templates(folder))


def _check_type(folder: Path, options: WebdatasetOptions) -> None:
    """A set that says what it is must be declared so."""
    path = folder / "dataset_type.txt"
    said = " ".join(_lines(path) or ()).lower()
    if not said:
        return
    if said not in _TRUTHS_OF_TYPE:
        raise DataError(f"{path}: {unknown('type', said, _TRUTHS_OF_TYPE)}")
    if options.truth not in (truths := _TRUTHS_OF_TYPE[said]):
        raise DataError(
            f"{path} says {said}: declare the set with `truth: {' or '.join(truths)}`, not "
            f"{options.truth}"
        )


def _shards(folder: Path) -> tuple[Shard, ...]:
    if not folder.is_dir():
        splits = [
            path.name for path in folder.parent.iterdir() if (path / "nshards.txt").is_file()
        ]
        raise DataError(f"{folder.parent}: {unknown('split', folder.name, splits)}")
    path = folder / "nshards.txt"
    said = _lines(path)
    if said is None:
        raise DataError(f"{folder}: has no nshards.txt, which says how many shards there are")
    if len(said) != 1 or not said[0].isdecimal() or not int(said[0]):
        raise DataError(f"{path}: says {' '.join(said)!r} and not how many shards there are")
    count = int(said[0])
    shards = find_shards([folder / f"{number}.tar" for number in range(count)])
    beyond = [
        its for its in folder.glob("*.tar") if its.stem.isdecimal() and int(its.stem) >= count
    ]
    if beyond:
        names = ", ".join(sorted(its.name for its in beyond)[:5])
        raise DataError(f"{path}: says {count}, but {names} is there as well")
    return tuple(shards)


def _templates(folder: Path) -> tuple[str, ...]:
    path = folder / "zeroshot_classification_templates.txt"
    templates = _lines(path) or ()
    for number, template in enumerate(templates, start=1):
        if "{c}" not in template:
            raise DataError(
                f"{path}: line {number}: {template!r} has no {{c}} where the class name goes"
            )
    return templates


def _lines(path: Path, *, may_be_blank: bool = False) -> tuple[str, ...] | None:
    """The lines of a text, None if there is none; blank ones that follow are not of it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    lines = tuple(line.strip() for line in text.rstrip().splitlines())
    if "" in lines and not may_be_blank:
        raise DataError(f"{path}: line {lines.index('') + 1} is blank")
    return lines
