"""Options of shards, as a grid says them: every mistake with its place and what is right."""

from typing import Any

import pytest

from scaling.datasets.webdataset import WebdatasetOptions
from scaling.errors import GridError
from scaling.grid import parse_grid

GRID = {
    "study": "s",
    "families": ["clip"],
    "models": ["tiny-a"],
    "samples_seen": ["1K"],
    "schedules": ["const"],
    "evaluate": ["shapes_retrieval"],
}
FILTERED = {"shards": "a.tar", "filters": [{"field": "score", "at_least": 0.28}]}


def problems(options: dict[str, Any]) -> list[str]:
    with pytest.raises(GridError) as error:
        parse_grid({**GRID, "datasets": {"mine": {"kind": "webdataset", **options}}}, "grid.yaml")
    return [problem.removeprefix("datasets.mine") for problem in error.value.problems]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, ": give it either shards or sources"),
        ({"shards": "a", "sources": [{"shards": "b"}]}, ": give it either shards or sources"),
        ({"shard": "a"}, ".shard: unknown key; did you mean 'shards'?"),
        ({"shards": 5}, ".shards: 5 is no path"),
        ({"shards": "{0..3"}, ".shards: '{0..3': Unbalanced braces"),
        ({"shards": "a", "size": "many"}, ".size: 'many' is not a count"),
        ({"sources": [{"weight": 2}]}, ".sources.0.shards: is required"),
        ({"sources": [{"shards": "a", "wieght": 2}]}, ".sources.0.wieght: unknown key; did you"),
        ({"sources": [{"shards": "a", "weight": 0}]}, ".sources.0.weight: 0: input should be"),
        ({"sources": [{"shards": "a"}], "size": 9}, ": size: with sources, say it of each"),
        ({"shards": "a", "captions": "text"}, ".captions: 'text' is no place of captions"),
        ({"shards": "a", "captions": {"json": []}}, ".captions.json: []:"),
        (
            {"shards": "a", "captions": {"json": "b", "choise": "first"}},
            ".captions.choise: unknown key; did you mean 'choice'?",
        ),
        (
            {"shards": "a", "captions": {"json": ["b", "c"], "weights": [1]}},
            ".captions: 1 weights for 2 json keys",
        ),
        (
            {"shards": "a", "captions": {"json": ["b"], "choice": "first", "weights": [1]}},
            ".captions: weights are for choice: random, not first",
        ),
        (
            {"shards": "a", "captions": {"json": "b", "choice": "alternate"}, "resample": True},
            ": choice: alternate takes turns by pass",
        ),
        ({"shards": "a", "filters": [{"field": "b"}]}, ".filters.0: b: give it at_least"),
        (
            {"shards": "a", "filters": [{"field": "b", "atleast": 1}]},
            ".filters.0.atleast: unknown key; did you mean 'at_least'?",
        ),
        ({"shards": "a", "filters": [{"field": "b", "one_of": "en"}]}, ".filters.0.one_of: 'en'"),
        ({"shards": "a", "uids": "list.csv"}, ".uids: 'list.csv' is none of .npy, .parquet, .txt"),
    ],
)
def test_a_mistake_is_said_with_its_place(options: dict[str, Any], problem: str) -> None:
    assert any(line.startswith(problem) for line in problems(options)), problems(options)


@pytest.mark.parametrize(
    "options",
    [
        {"shards": "data/{00..09}.tar"},
        FILTERED,
        {"shards": ["a.tar"], "captions": {"json": ["b", "c"], "weights": [2, 1]}},
        {
            **{key: value for key, value in FILTERED.items() if key != "shards"},
            "captions": {"json": "b"},
            "sources": [
                {"shards": "a", "weight": 2},
                {"shards": "b", "filters": []},
                {"shards": "c", "captions": "txt"},
            ],
        },
    ],
)
def test_options_survive_being_stored(options: dict[str, Any]) -> None:
    validated = WebdatasetOptions.model_validate(options)
    grid = parse_grid({**GRID, "datasets": {"mine": {"kind": "webdataset", **options}}}, "g.yaml")

    stored = grid.datasets["mine"].options

    assert WebdatasetOptions.model_validate(stored).all_sources() == validated.all_sources()


def test_what_is_left_at_its_default_is_no_part_of_what_is_stored() -> None:
    options = {"shards": "a.tar", "captions": "txt", "resample": False, "crop": "random"}

    grid = parse_grid({**GRID, "datasets": {"mine": {"kind": "webdataset", **options}}}, "g.yaml")

    assert grid.datasets["mine"].options == {"shards": "a.tar"}


def test_a_source_overrides_what_holds_for_all() -> None:
    options = WebdatasetOptions.model_validate(
        {
            "captions": {"json": "b"},
            "filters": FILTERED["filters"],
            "sources": [{"shards": "a"}, {"shards": "b", "filters": [], "captions": "txt"}],
        }
    )

    first, second = options.all_sources()

    assert (first.filters, first.captions) == (options.filters, options.captions)
    assert (second.filters, second.captions) == ((), "txt")
