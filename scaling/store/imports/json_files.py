"""Strict JSON: what other tools write, with every way in which a file can be torn refused."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scaling.errors import DataError


def text_of(path: Path) -> str:
    """The text of a file in UTF-8; raises `DataError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8: {error}") from error


def parse(text: str) -> Any:
    """A JSON value; NaN and Infinity are floats. Raises `ValueError` for anything else.

    That includes objects that say two things under one key, of which Python keeps the last.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The place and content of each object in a file of one, of a list, or of one a line.

    Raises `DataError` where the file is torn, or holds something else.
    """
    text = text_of(path)
    try:
        content = parse(text)
    except ValueError as error:
        if len(found := [line for line in text.splitlines() if line.strip()]) < 2:
            raise DataError(f"{path}: is not JSON: {error}") from error
        if not found[0].rstrip().endswith("}"):
            raise DataError(f"{path}: is not JSON: {error}") from error
        yield from json_lines(path, text)
        return
    if isinstance(content, dict):
        yield "the file", content
        return
    listed = content if isinstance(content, list) else [content]
    for n, entry in enumerate(listed, start=1):
        if not isinstance(entry, dict):
            raise DataError(f"{path}: entry {n} is not an object")
        yield f"entry {n}", entry


def json_lines(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of a file with one object a line."""
    for n, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = parse(line)
        except ValueError as error:
            raise DataError(f"{path}: line {n}: is not JSON: {error}") from error
        if not isinstance(entry, dict):
            raise DataError(f"{path}: line {n}: is not an object")
        yield f"line {n}", entry


def number(value: object) -> float | None:
    """A number, or None for NaN, which these tools write where a metric is not defined.

    Raises `ValueError` for what is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if math.isinf(found):
        raise ValueError("is not a finite number")
    return None if math.isnan(found) else found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and repr(found[key]) != repr(value):
            raise ValueError(f"the key {key!r} is there twice, with different values")
        found[key] = value
    return found
