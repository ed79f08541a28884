"""The names that tasks have here, from those of CLIP_benchmark."""

from collections.abc import Mapping
from functools import cache

from scaling.evals._catalogue import CATALOGUE

_PLAIN = ("zeroshot_classification", "zeroshot_retrieval", "image_caption_selection")
"""What is meant by a set's name alone, where the catalogue does not say otherwise."""


def task_name(dataset: str, kind: str = "", language: str = "en") -> str:
    """What to file a measurement on `dataset` under.

    Another `kind` of task on the set of a known one, and a language other than English, are in the
    name: accuracy of a linear probe is not zero-shot accuracy.
    """
    plain = dataset.removeprefix("wds/").strip("/")
    known = plain if plain in CATALOGUE else _aliases().get(_spelling(plain))
    usual = (CATALOGUE[known].kind,) if known else _PLAIN
    parts = [known or plain]
    if kind and kind not in usual:
        parts.append(kind)
    if language not in ("en", ""):
        parts.append(language)
    return "/".join(parts)


@cache
def _aliases() -> Mapping[str, str]:
    """Tasks of the catalogue by the ways in which their folders are spelled."""
    found: dict[str, str] = {}
    for task in CATALOGUE.values():
        folder = task.options.get("set", {}).get("folder", task.name)
        short = folder.removeprefix("wds_").removesuffix("_test")
        own = (task.name, folder, short)
        for spelling in (*own, short.removeprefix("vtab-").removeprefix("wilds-")):
            if task.kind in _PLAIN or spelling == task.name:
                found.setdefault(_spelling(spelling), task.name)
    return found


def _spelling(text: str) -> str:
    return text.lower().replace("/", "-").replace("_", "-").removesuffix("-test")
