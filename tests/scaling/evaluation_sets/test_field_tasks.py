"""Every webdataset task of the catalogue, measured on a small set in its folder and its layout."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_networks import CONFIG, WordsAndColours
from small_sets import Members, numbers, picture, write_set

from scaling.evals._catalogue import CATALOGUE
from scaling.evals._declared import Task
from scaling.evals._evaluation import Evaluation
from scaling.evals._measured import measure
from scaling.evals._subject import Subject

PICTURES, CLASSES = 12, 6
TASKS = [
    name
    for name in CATALOGUE
    if CATALOGUE[name].options.get("set", {}).get("kind") == "webdataset"
]


def samples(task: Task) -> Iterator[Members]:
    has_captions = task.kind == "zeroshot_retrieval"
    for n in range(PICTURES):
        image = {"webp": picture(n, "webp")}
        if has_captions:
            yield {**image, "txt": f"A picture of number {n}.\nNumber {n}.\n".encode()}
        elif task.kind == "attribute_classification":
            yield {**image, "npy": numbers([n % 3, n % 2, n % 5, int(n % 5 != 1)])}
        elif task.options["set"].get("metadata"):
            yield {**image, "cls": str(n % CLASSES).encode(), "npy": numbers([n % 3, n % 2, n])}
        else:
            yield {**image, "cls": str(n % CLASSES).encode()}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_measured_on_a_set_of_its_layout(tmp_path: Path, name: str) -> None:
    task = CATALOGUE[name]
    is_retrieval = task.kind == "zeroshot_retrieval"
    classes = [f"number {n}" for n in range(CLASSES)]
    templates = ["a photo of {c}.", "{c}"]
    if task.kind == "attribute_classification":
        objectives = ("race", "gender", "age", "toxic")
        classes = [f"{objective}:{name}" for objective in objectives for name in classes]
        templates = [f"{objective}:{form}" for objective in objectives for form in templates]
    its = list(samples(task))
    write_set(
        tmp_path / task.options["set"]["folder"],
        [its[:7], its[7:]],
        classes=() if is_retrieval else classes,
        templates=templates,
        kind="retrieval" if is_retrieval else "",
    )
    task.check(tmp_path)

    found = measure(task, Subject(WordsAndColours(), CONFIG, Evaluation(sets=tmp_path)))

    assert tuple(found.values) == task.metrics
    assert all(np.isfinite(value) and 0 <= value <= 1 for value in found.values.values())
    assert task.main_metric in found.values
