"""open_clip's log folders, in the shapes that open_clip 3.3 writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from scaling.errors import DataError
from scaling.store import Store
from scaling.store.imports import ColumnMap, Imported, read, record
from scaling.store.imports.curves import thin

PARAMS = {
    "accum_freq": 2,
    "batch_size": 8,
    "epochs": 4,
    "lr": 0.001,
    "lr_scheduler": "cosine",
    "model": "ViT-B-32",
    "name": "a_run",
    "seed": 5,
    "siglip": False,
    "train_num_samples": 960,
    "val_data": None,
    "warmup": 10,
    "world_size": 3,
}
MAP = ColumnMap(constants={"dataset": "datacomp"})
LINE = (
    "2026-01-01,10:00:00 | INFO | Train Epoch: {epoch} [{seen:>3}/960 (33%)] Data (t): 0.011 "
    "Batch (t): 0.075, 53.4219/s, 53.4219/s/gpu LR: 0.001000 Logit Scale: 14.286 "
    "Contrastive_loss: 1.7057 (1.7057) Caption_loss: 2.0000 (2.0000) Loss: {loss} (9.9999)"
)


def result(epoch: int, top1: float, **more: Any) -> dict[str, Any]:
    return {
        "imagenet-zeroshot-val-top1": top1,
        "imagenet-zeroshot-val-top5": top1 * 2,
        "image_to_text_mean_rank": 3.5,
        "image_to_text_R@5": 0.5,
        "text_to_image_R@5": 0.25,
        "clip_val_loss": 1.5,
        "epoch": epoch,
        "num_samples": 12,
        **more,
    }


def log_folder(
    folder: Path, *results: dict[str, Any], log: tuple[str, ...] = (), **params: Any
) -> Path:
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    options = sorted({**PARAMS, **params}.items())
    (folder / "params.txt").write_text("".join(f"{key}: {value}\n" for key, value in options))
    lines = "".join(json.dumps(one) + "\n" for one in results)
    (folder / "checkpoints" / "results.jsonl").write_text(lines)
    (folder / "out.log").write_text("\n".join(log))
    return folder


def by_metric(imported: Imported, samples_seen: int) -> dict[tuple[str, str], float]:
    return {
        (one.task, one.metric): one.value
        for one in imported.measurements
        if one.samples_seen == samples_seen
    }


def test_measurements_and_hyper_parameters_come_in(store: Store, tmp_path: Path) -> None:
    folder = log_folder(tmp_path / "a_run", result(2, 0.125), result(4, 0.25))

    imported = read(folder, columns=MAP)
    record(store, imported)

    assert by_metric(imported, 3840) == {
        ("imagenet1k", "acc1"): 0.25,
        ("imagenet1k", "acc5"): 0.5,
        ("validation", "text_retrieval_recall@5"): 0.5,
        ("validation", "image_retrieval_recall@5"): 0.25,
        ("validation", "clip_val_loss"): 1.5,
    }
    one = imported.measurements[0]
    settings = dict(one.settings)
    assert (one.batch_size, one.learning_rate, one.seed) == (48, 0.001, 5)
    assert (settings["batch_size"], settings["warmup"]) == (48, 10)
    assert not by_metric(read(folder, columns=MAP), 960)
    points = store.points(study="a_run")
    assert {point["samples_seen"] for point in points} == {3840}
    assert points[0]["gflops_per_sample"] > 1


@pytest.mark.parametrize(
    ("params", "family", "model"),
    [
        ({}, "clip", "ViT-B-32"),
        ({"siglip": True}, "siglip", "ViT-B-32"),
        ({"model": "coca_ViT-B-32"}, "coca", "ViT-B-32"),
        ({"model": "mammut_ViT-B-32"}, "mammut", "ViT-B-32"),
        (
            {"model": "mammut_ViT-B-32", "coca_contrastive_loss_weight": 0.0},
            "cap",
            "ViT-B-32",
        ),
    ],
)
def test_the_family_is_that_of_the_loss(
    tmp_path: Path, params: dict[str, Any], family: str, model: str
) -> None:
    one = read(log_folder(tmp_path / "r", result(4, 0.2), **params), columns=MAP).measurements[0]

    assert (one.family, one.model) == (family, model)


def test_the_last_evaluation_of_an_epoch_counts(tmp_path: Path) -> None:
    folder = log_folder(tmp_path / "r", result(3, 0.1), result(3, 0.2), result(4, 0.3))

    imported = read(folder, columns=MAP)

    assert by_metric(imported, 2880)["imagenet1k", "acc1"] == 0.2
    assert "1 evaluations left out that a restarted run made again" in imported.notes


def test_without_validation_data_epochs_are_those_of_the_log(tmp_path: Path) -> None:
    lines = [{"imagenet-zeroshot-val-top1": value} for value in (0.11111, 0.22222)]
    log = tuple(
        f"2026-01-01,10:00:00 | INFO | Eval Epoch: {epoch} imagenet-zeroshot-val-top1: {value}"
        for epoch, value in ((2, "0.1111"), (4, "0.2222"))
    )

    imported = read(log_folder(tmp_path / "r", *lines, log=log), columns=MAP)

    assert by_metric(imported, 3840) == {("imagenet1k", "acc1"): 0.22222}
    with pytest.raises(DataError, match="line 2: does not say its epoch"):
        read(log_folder(tmp_path / "r", *lines, log=log[:1]), columns=MAP)


def test_the_training_curve_is_the_whole_loss_after_the_last_restart(tmp_path: Path) -> None:
    log = [LINE.format(epoch=e, seen=s, loss=x) for e, s, x in ((0, 48, 3.0), (0, 960, 2.0))]
    log += [LINE.format(epoch=1, seen=480, loss=1.5), LINE.format(epoch=1, seen=960, loss=1.4)]
    log += [LINE.format(epoch=1, seen=480, loss=1.25), "torn Train Epoch: 1 [960/"]

    folder = log_folder(tmp_path / "r", log=tuple(log))

    assert read(folder, columns=MAP).curves[0].points == {48: 3.0, 960: 2.0, 1440: 1.25}


def test_a_grown_log_adds_to_the_curve_and_repeats_nothing(store: Store, tmp_path: Path) -> None:
    lines = [LINE.format(epoch=0, seen=48 * n, loss=3.0) for n in range(1, 11)]
    for end in (5, 10, 10):
        folder = log_folder(tmp_path / "r", result(4, 0.25), log=tuple(lines[:end]))
        record(store, read(folder, columns=MAP))

    early = {48 * n: 3.0 for n in range(1, 6)}
    assert thin({48 * n: 3.0 for n in range(1, 11)}).items() >= thin(early).items()


def test_the_length_of_an_epoch_may_be_the_logs(tmp_path: Path) -> None:
    log = (LINE.format(epoch=0, seen=48, loss=3.0),)

    folder = log_folder(tmp_path / "r", result(4, 0.25), log=log, train_num_samples=None)

    assert by_metric(read(folder, columns=MAP), 3840)


@pytest.mark.parametrize(
    ("file", "content", "wrong"),
    [
        ("params.txt", "garbage\n", "line 1: 'garbage' is not OPTION: VALUE"),
        ("params.txt", "model: ViT-B-32\n", "the option batch_size is missing"),
        ("params.txt", "model: a\nmodel: b\nbatch_size: 1\n", "model is there twice"),
        ("params.txt", "model: a\nbatch_size: -1\n", "batch_size: '-1' is not a count"),
        ("checkpoints/results.jsonl", '{"epoch": 4, "clip_val', "line 1: is not JSON"),
        ("checkpoints/results.jsonl", "[1]\n", "line 1: is not an object"),
        ("checkpoints/results.jsonl", '{"epoch": 9, "clip_val_loss": 1}', "epoch 9 is after"),
        ("checkpoints/results.jsonl", '{"epoch": 4, "image_to_text_R@1": -0.1}', "'-0.1' is not"),
        ("checkpoints/results.jsonl", '{"epoch": 4, "clip_val_loss": -1}', "'-1' is not"),
        ("checkpoints/results.jsonl", "", "there is no measurement"),
        ("out.log", "\udcff", "is not text in UTF-8"),
    ],
)
def test_bad_folders_are_refused(tmp_path: Path, file: str, content: str, wrong: str) -> None:
    folder = log_folder(tmp_path / "r", result(4, 0.25))
    (folder / file).write_bytes(content.encode("utf-8", "surrogateescape"))

    with pytest.raises(DataError, match=wrong):
        read(folder, columns=MAP)


def test_what_was_trained_on_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing says dataset"):
        read(log_folder(tmp_path / "r", result(4, 0.25)))
