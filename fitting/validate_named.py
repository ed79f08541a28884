"""Estimators by name, to be set side by side: `anchored,weights=power:0.5,prior=weak`."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from fitting.errors import FitError
from fitting.laws import LAWS
from fitting.options import AUTO, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitting.estimator import Estimator


def estimators_named(names: Sequence[str] | None = None, **options: Any) -> dict[str, Estimator]:
    """The estimators of `names`, by name; without names one for each law and AICc's choice.

    A name is a law as `Options` takes it, and after commas any other field of `Options` that is a
    word and differs from `options`. Raises `FitError` for every name that is wrong at once.
    """
    found: dict[str, Estimator] = {}
    problems = []
    for name in dict.fromkeys([*LAWS, AUTO] if names is None else names):
        try:
            found[name] = Options(**{**options, **_parsed(name)}).estimator
        except FitError as error:
            problems.append(str(error))
    if problems:
        raise FitError("; ".join(problems))
    return found


def _parsed(name: str) -> dict[str, str]:
    law, *settings = (word.strip() for word in name.split(","))
    given = {"law": law}
    words = [one.name for one in fields(Options) if isinstance(one.default, str)]
    known = [word for word in words if word != "law"]
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in known:
            raise FitError(
                f"estimator {name!r}: {setting!r} is no setting; write a law and settings such as "
                f"{known[0]}=VALUE after commas (known: {', '.join(known)})"
            )
        given[key] = value
    return given
