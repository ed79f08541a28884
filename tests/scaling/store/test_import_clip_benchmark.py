"""CLIP_benchmark's JSON: what it says, what options and patterns must, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from scaling.errors import DataError, StoreError
from scaling.store import Store
from scaling.store.imports import ColumnMap, ImportSummary, read, record
from scaling.store.imports.task_names import task_name

CHECKPOINT = "/data/logs/mammut_s12.8M_lr1e-3/checkpoints/epoch_3.pt"
RESULT = {
    "dataset": "wds/imagenet1k",
    "model": "mammut_ViT-B-32",
    "pretrained": CHECKPOINT,
    "task": "zeroshot_classification",
    "metrics": {"acc1": 0.25, "acc5": 0.5, "mean_per_class_recall": 0.245},
    "language": "en",
}
SAID = {
    "family": "mammut",
    "dataset": "datacomp",
    "schedule": "cosine",
    "samples_per_epoch": "1.28M",
    "epochs": "3",
}


def write(folder: Path, name: str = "result.json", **changes: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({**RESULT, **changes}))
    return path


def bring_in(store: Store, path: Path, **said: str) -> ImportSummary:
    return record(store, read(path, columns=ColumnMap(constants={**SAID, **said})), "others")


def test_a_checkpoint_of_a_known_size_comes_in_once_with_its_cost(
    store: Store, tmp_path: Path
) -> None:
    path = write(tmp_path)

    first, again = bring_in(store, path), bring_in(store, path)

    assert (first.imported, again.imported, again.already_there) == (3, 0, 3)
    point = next(p for p in store.points(study="others") if p["metric"] == "acc1")
    assert (point["family"], point["model"], point["task"]) == ("mammut", "ViT-B-32", "imagenet1k")
    assert (point["samples_seen"], point["value"]) == (3_840_000, 0.25)
    assert point["gflops_per_sample"] > 1


def test_nan_is_a_metric_that_is_not_there(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, metrics={"acc1": 0.5, "acc5": float("nan")})
    assert "NaN" in path.read_text()

    summary = bring_in(store, path)

    assert summary.imported == 1
    assert "1 metrics that are NaN" in str(summary)


def test_what_nothing_says_is_named_with_how_to_say_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing says family") as caught:
        read(write(tmp_path))

    for field in ("dataset", "schedule", "samples_per_epoch"):
        assert f"nothing says {field}" in str(caught.value)
        assert f"--set {field}=VALUE" in str(caught.value)


def test_the_planned_end_must_be_known_unless_the_rate_is_constant(tmp_path: Path) -> None:
    said = {key: value for key, value in SAID.items() if key != "epochs"}
    path = write(tmp_path)

    with pytest.raises(DataError, match="nothing says epochs"):
        read(path, columns=ColumnMap(constants=said))
    constant = read(path, columns=ColumnMap(constants={**said, "schedule": "const"}))
    assert all(one.in_fits for one in constant.measurements)


def test_a_checkpoint_before_the_end_is_kept_out_of_fits(store: Store, tmp_path: Path) -> None:
    summary = bring_in(store, write(tmp_path), epochs="10")

    assert summary.imported == 3
    assert store.points(study="others") == []


def test_patterns_say_what_paths_say(tmp_path: Path) -> None:
    name = "eval_plus_vtab_cifar10_datacomp_s12.8M_epoch_3.pt_ViT-B-32_en_zeroshot.json"
    path = write(tmp_path, name, pretrained="epoch_3.pt", model="ViT-B-32")
    columns = ColumnMap(
        constants={"schedule": "cosine", "family": "clip", "epochs": "10"},
        patterns=(r"_(?P<dataset>[a-z]+)_s(?P<samples_seen>[0-9.]+[MB])_epoch_(?P<epoch>[0-9]+)",),
    )

    one = read(path, columns=columns).measurements[0]

    assert (one.dataset, one.samples_seen, one.in_fits) == ("datacomp", 12_800_000, False)


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [("(?P<family>", "is not a regular expression"), ("clip", "names no field")],
)
def test_a_wrong_pattern_is_refused(tmp_path: Path, pattern: str, wrong: str) -> None:
    with pytest.raises(DataError, match=wrong):
        read(write(tmp_path), columns=ColumnMap(constants=SAID, patterns=(pattern,)))


def test_lists_and_lines_of_results_are_read(store: Store, tmp_path: Path) -> None:
    results = [RESULT, {**RESULT, "dataset": "wds/vtab/caltech101"}]
    listed, lines = tmp_path / "list.json", tmp_path / "lines.json"
    listed.write_text(json.dumps(results))
    lines.write_text("\n".join(map(json.dumps, results)))

    assert bring_in(store, listed).imported == 6
    assert bring_in(store, lines).already_there == 6


@pytest.mark.parametrize(
    ("dataset", "kind", "language", "task"),
    [
        ("wds/imagenet1k", "zeroshot_classification", "en", "imagenet1k"),
        ("wds/vtab/flowers", "zeroshot_classification", "en", "flowers"),
        ("wds/wds_wilds-fmow_test", "zeroshot_classification", "en", "fmow"),
        ("imagenet-r", "zeroshot_classification", "en", "imagenet_r"),
        ("imagenet1k", "linear_probe", "en", "imagenet1k/linear_probe"),
        ("mscoco_captions", "zeroshot_retrieval", "de", "mscoco_captions/de"),
        ("wds/birds", "zeroshot_classification", "en", "birds"),
    ],
)
def test_sets_have_the_names_of_the_catalogue(
    dataset: str, kind: str, language: str, task: str
) -> None:
    assert task_name(dataset, kind, language) == task


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ('{"dataset": "wds/imagenet1k", "metr', "is not JSON"),
        ('{"dataset": "x", "metrics": {"acc1": 0.1, "acc1": 0.2}}', "'acc1' is there twice"),
        (json.dumps({**RESULT, "metrics": {"acc1": 25.0}}), "metrics.acc1: '25.0' is not"),
        (json.dumps({**RESULT, "metrics": {"acc1": -0.5}}), "metrics.acc1: '-0.5' is not"),
        (json.dumps({**RESULT, "metrics": {"acc1": "0.5"}}), "is not a number"),
        (json.dumps({**RESULT, "metrics": {"acc1": True}}), "is not a number"),
        (json.dumps({**RESULT, "metrics": {"acc1": 10**400}}), "is not a finite number"),
        (json.dumps({**RESULT, "metrics": {"acc1": float("inf")}}), "is not a finite number"),
        (json.dumps({**RESULT, "metrics": [1]}), "is not an object"),
        (json.dumps({**RESULT, "metrics": {"acc5": float("nan")}}), "there is no measurement"),
        (json.dumps({**RESULT, "model": 3}), "model: '3' is not a name"),
        (json.dumps({**RESULT, "pretrained": None}), "pretrained: 'None' is not"),
        (json.dumps({"dataset": "x", "metrics": {}}), "the key 'pretrained' is missing"),
        ('{"dataset": "x", "metrics": {"a": ' + "[" * 100_000, "is nested too deeply|not JSON"),
        ('{"dataset": "x", "metrics": {"a": ' + "9" * 5000 + "}}", "is not JSON"),
        (
            json.dumps([RESULT, {**RESULT, "metrics": {"acc1": 0.3}}]),
            "entry 2, acc1: 0.3, but entry 1 says 0.25",
        ),
    ],
)
def test_bad_files_are_refused_with_their_places(tmp_path: Path, content: str, wrong: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)

    with pytest.raises(DataError, match=wrong) as caught:
        read(path, columns=ColumnMap(constants=SAID))
    assert str(path) in str(caught.value)


def test_another_value_of_a_later_file_changes_nothing(store: Store, tmp_path: Path) -> None:
    bring_in(store, write(tmp_path))
    other = write(tmp_path, "other.json", metrics={"acc1": 0.9, "acc@new": 0.1})

    with pytest.raises(StoreError, match=r"0.9, an earlier import said 0.25"):
        bring_in(store, other)
    assert len(store.points(study="others")) == 3
