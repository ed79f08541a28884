"""The tasks that come with the project: every entry is parsed, and none is another's double."""

from collections import Counter

import pytest

from scaling.evals import TASK_KINDS
from scaling.evals._catalogue import CATALOGUE
from scaling.evals._declared import Task
from scaling.evals._suites import SUITES, main_metric_of
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
        ("winogavil", "jaccard_score_10-12"),
        ("mscoco_captions", "image_retrieval_recall@5"),
    ],
)
def test_main_metrics_are_datacomps(name: str, metric: str) -> None:
    assert CATALOGUE[name].main_metric == metric


@pytest.mark.parametrize("name", SUITES)
def test_suites_are_of_tasks_and_metrics_that_there_are(name: str) -> None:
    suite = SUITES[name]

    assert name not in CATALOGUE
    assert main_metric_of(name) == suite.metric
    for task, metrics in suite.members.items():
        assert set(metrics) <= set(CATALOGUE[task].metrics)


def test_suites_have_the_members_that_the_field_has() -> None:
    counts = {name: len(suite.members) for name, suite in SUITES.items()}
    average, classification = (
        SUITES[f"datacomp_{name}"] for name in ("average", "classification")
    )

    assert counts["imagenet_distribution_shift"] == 5
    assert counts["datacomp_classification"] == 35
    assert counts["datacomp_average"] == 38
    others = {"flickr30k", "mscoco_captions", "winogavil"}
    assert average.members.keys() - classification.members.keys() == others
    for task, metrics in average.members.items():
        if len(metrics) == 1:
            assert metrics == (CATALOGUE[task].main_metric,)
