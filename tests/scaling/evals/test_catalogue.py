"""The tasks that come with the project: every entry is parsed, and none is another's double."""

from collections import Counter

import pytest

from scaling.evals import TASK_KINDS
from scaling.evals._catalogue import CATALOGUE
from scaling.evals._declared import Task
from scaling.evaluation_sets import EVALUATION_SETS


@pytest.fixture(params=CATALOGUE)
def task(request: pytest.FixtureRequest) -> Task:
    return CATALOGUE[request.param]


def test_an_entry_is_complete(task: Task) -> None:
    assert task.kind in TASK_KINDS
    assert task.about.about
    assert task.main_metric in task.metrics
    assert len(set(task.metrics)) == len(task.metrics)
    if task.name.startswith("shapes_"):
        assert not task.about.obtain
    else:
        assert "https://" in task.about.obtain


def test_a_folder_is_of_one_task_of_each_kind_and_mode() -> None:
    places = Counter(
        (
            task.kind,
            task.options.get("mode"),
            chosen["folder"],
            chosen.get("annotations"),
        )
        for task in CATALOGUE.values()
        if "folder" in (chosen := task.options.get("set", {}))
    )

    assert [place for place, count in places.items() if count > 1] == []
    assert len(places) > 30


def test_sets_are_of_known_kinds() -> None:
    for task in CATALOGUE.values():
        if chosen := task.options.get("set"):
            kind = EVALUATION_SETS.get(chosen["kind"])
            kind.options.model_validate({k: v for k, v in chosen.items() if k != "kind"})


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("imagenet1k", "acc1"),
        ("caltech101", "mean_per_class_recall"),
        ("fgvc_aircraft", "mean_per_class_recall"),
        ("flowers", "mean_per_class_recall"),
        ("pets", "mean_per_class_recall"),
        ("iwildcam", "F1-macro_all"),
        ("camelyon17", "acc1"),
        ("fmow", "acc_worst_region"),
        ("dollar_street", "acc_top5_wg"),
        ("geode", "acc_wg"),
        ("mscoco_captions", "image_retrieval_recall@5"),
    ],
)
def test_main_metrics_are_datacomps(name: str, metric: str) -> None:
    assert CATALOGUE[name].main_metric == metric
