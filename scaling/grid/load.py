"""From a YAML file to a plan, with every problem of the file in one message."""

import difflib
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from scaling.errors import GridError, OptionsError
from scaling.grid.expand import expand
from scaling.grid.spec import Grid, ProblemsError
from scaling.plan import Plan


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key written twice is an error, not a silent choice of the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """See `yaml.SafeLoader.construct_mapping`."""
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> tuple[str, dict[str, Any]]:
    """The text of a YAML file and the mapping in it; raises `GridError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise GridError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise GridError(str(path), [f"is not text in UTF-8: {error}"]) from error
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise GridError(str(path), [f"{where}not valid YAML: {error.problem}"]) from error
    except yaml.YAMLError as error:
        raise GridError(str(path), [f"not valid YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise GridError(str(path), ["a grid is a mapping that begins with 'study: NAME'"])
    return text, content


def parse_grid(content: dict[str, Any], source: str) -> Grid:
    """The validated grid; raises `GridError` with all problems of `source` at once."""
    try:
        return Grid.model_validate(content)
    except ValidationError as error:
        errors = error.errors()
        problems = [
            line
            for problem in errors
            if not (problem["type"] == "too_short" and _has_another_below(problem, errors))
            for line in _lines(problem)
        ]
        raise GridError(source, problems) from error


def load_plan(path: Path) -> Plan:
    """Cells and trials of the grid in the file at `path`; raises `GridError`."""
    text, content = read_yaml(path)
    return expand(parse_grid(content, str(path)), text=text, source=str(path))


def _lines(
    problem: Any, model: type[BaseModel] = Grid, within: tuple[int | str, ...] = ()
) -> list[str]:
    """What is wrong at one place of the section `within` the grid that `model` describes."""
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, ProblemsError):
        return cause.problems
    place = (*within, *problem["loc"])
    if isinstance(cause, OptionsError):
        return [line for inner in cause.errors for line in _lines(inner, cause.model, place)]
    path = ".".join(str(part) for part in place if not _is_internal(part))
    prefix = f"{path}: " if path else ""
    match problem["type"]:
        case "extra_forbidden":
            return [f"{prefix}unknown key{_nearest(problem['loc'], model)}"]
        case "missing":
            return [f"{prefix}is required"]
        case "value_error":
            return [f"{prefix}{cause}"]
        case _:
            said = problem["msg"].replace("valid tuple", "list")
            return [f"{prefix}{problem['input']!r}: {said[:1].lower()}{said[1:]}"]


def _has_another_below(problem: Any, errors: list[Any]) -> bool:
    """Whether a list is too short only because its items are wrong, which is said anyway."""
    place = problem["loc"]
    return any(len(e["loc"]) > len(place) and e["loc"][: len(place)] == place for e in errors)


def _is_internal(part: object) -> bool:
    """Whether pydantic put this into the path to name a validator rather than a key."""
    return isinstance(part, str) and "[" in part


def _nearest(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """'; did you mean ...? (allowed: ...)' for an unknown key."""
    for part in location[:-1]:
        model = _section(model, part)
    names = [field.alias or name for name, field in model.model_fields.items()]
    nearest = difflib.get_close_matches(str(location[-1]), names, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{hint} (allowed: {', '.join(names)})"


def _section(model: type[BaseModel], part: int | str) -> type[BaseModel]:
    """The model of what is under a key; the same one for a place in a list or a free name."""
    for name, field in model.model_fields.items():
        if part in (name, field.alias):
            return next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
