"""What a network in a file was trained to be shown: mean, std, and how a picture becomes square.

A file of weights does not say it, and with another choice every number is silently a little wrong.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from scaling.families._images import (
    CLIP_FRAMING,
    CLIP_PREPROCESSING,
    MEAN,
    STD,
    Colour,
    Framing,
    Interpolation,
    Preprocessing,
    Resize,
)
from scaling.families._open_clip import OPEN_CLIP
from scaling.weights.failures import WeightsError

_HUB_FILES = "open_clip_"
"""How files of weights are called that open_clip publishes beside `open_clip_config.json`."""


class Found(NamedTuple):
    """How pictures are prepared, and why so."""

    preprocessing: Preprocessing
    source: str
    """For people."""


class Chosen(NamedTuple):
    """What the user says about it; None is not said."""

    mean: Colour | None = None
    std: Colour | None = None
    resize: Resize | None = None
    interpolation: Interpolation | None = None


def preprocessing_of(file: Path, model: str, chosen: Chosen = Chosen()) -> Found:  # noqa: B008
    """What belongs to the weights in `file` of a network `model`, and where that is known from.

    In this order: what is `chosen`; the `open_clip_config.json` beside a file that open_clip
    published on the Hugging Face hub; for a model `open_clip:NAME`, what open_clip does with all
    weights that it knows of NAME, if that is one thing; how CLIP was trained.

    Raises `WeightsError` if a configuration says what open_clip could not do either.
    """
    said, source = _said(file, model)
    framing = Framing(
        resize=chosen.resize or said.framing.resize,
        interpolation=chosen.interpolation or said.framing.interpolation,
    )
    found = Preprocessing(
        mean=chosen.mean or said.mean, std=chosen.std or said.std, framing=framing
    )
    if any(its is not None for its in chosen):
        source = "as you say" if None not in chosen else f"as you say, else {source}"
    return Found(found, source)


def _said(file: Path, model: str) -> Found:
    config = file.parent / "open_clip_config.json"
    if file.name.startswith(_HUB_FILES) and config.is_file():
        return Found(_of_config(config), f"{config.name} beside the weights")
    if model.startswith(OPEN_CLIP):
        name = model.removeprefix(OPEN_CLIP)
        ways = _of_published(name)
        if len(ways) == 1:
            return Found(ways.pop(), f"open_clip's for its weights of {name}")
        if ways:
            why = f"as CLIP was trained: open_clip's weights of {name} differ in it, so look it up"
            return Found(CLIP_PREPROCESSING, why)
    return Found(CLIP_PREPROCESSING, "as CLIP was trained")


def _of_config(path: Path) -> Preprocessing:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _parsed(content.get("preprocess_cfg") or {})
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise WeightsError(f"{path}: preprocess_cfg: {error}") from error


def _of_published(name: str) -> set[Preprocessing]:
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    return {_parsed(get_pretrained_cfg(name, tag)) for tag in list_pretrained_tags_by_model(name)}


def _parsed(said: Mapping[str, Any]) -> Preprocessing:
    """What open_clip's `preprocess_cfg` says; raises `ValueError`. Keys may be absent or null."""
    resize = said.get("resize_mode") or CLIP_FRAMING.resize
    interpolation = said.get("interpolation") or CLIP_FRAMING.interpolation
    if resize not in get_args(Resize):
        raise ValueError(f"resize_mode {resize!r} is not one of {', '.join(get_args(Resize))}")
    if interpolation == "random":
        interpolation = CLIP_FRAMING.interpolation  # So open_clip evaluates.
    if interpolation not in get_args(Interpolation):
        allowed = ", ".join(get_args(Interpolation))
        raise ValueError(f"interpolation {interpolation!r} is not one of {allowed}")
    return Preprocessing(
        mean=_colour(said.get("mean") or MEAN),
        std=_colour(said.get("std") or STD),
        framing=Framing(resize=resize, interpolation=interpolation),
    )


def _colour(value: Any) -> Colour:
    red, green, blue = (value,) * 3 if isinstance(value, int | float) else value
    return float(red), float(green), float(blue)
