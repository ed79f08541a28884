"""The reference study's table: its columns, percentages, and checkpoints before the end."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from scaling.errors import DataError
from scaling.store import Store
from scaling.store.imports import ColumnMap, Imported, read, record


def frame(**changes: object) -> pd.DataFrame:
    """Two checkpoints of a cosine run and one of a constant one, each on two tasks."""
    rows = []
    for name, epoch, schedule, acc in (("a", 1, "cosine", 0.1), ("a", 2, "cosine", 0.3)):
        rows.append([name, epoch, schedule, "imagenet1k", acc, None])
        rows.append([name, epoch, schedule, "mscoco_captions", None, acc + 0.1])
    rows.append(["b", 1, "const", "imagenet1k", 0.2, None])
    table = pd.DataFrame(
        rows,
        columns=[
            *("name", "epoch", "lr_scheduler", "downstream_dataset"),
            *("acc1", "image_retrieval_recall@5"),
        ],
    )
    fixed = {
        "model": "mammut_ViT-B-32",
        "namespace": "mammut",
        "pretrain_dataset": "datacomp_1b",
        "total_epochs": 2,
        "total_samples_seen": 12_800_000.0,
        "gflops_total": 12_800_000 * 10.0,
        "lr": 1e-3,
        "warmup": 100,
        "global_batch_size": 4096,
        "gpus": 64,
    }
    return table.assign(**fixed).assign(**changes)


def bring_in(path: Path, table: pd.DataFrame, *percent: str) -> Imported:
    table.to_csv(path, index=False)
    return read(path, columns=ColumnMap(percent=percent))


def test_rows_come_in_with_samples_compute_and_hyper_parameters(
    store: Store, tmp_path: Path
) -> None:
    imported = bring_in(tmp_path / "all_results.csv", frame())

    summary = record(store, imported)

    assert (summary.study, summary.imported, summary.trials) == ("all_results", 5, 2)
    one = imported.measurements[0]
    assert (one.model, one.samples_seen, one.gflops_per_sample) == ("ViT-B-32", 6_400_000, 10.0)
    assert dict(one.settings) == {
        "lr": 1e-3,
        "warmup": 100,
        "global_batch_size": 4096,
        "total_samples_seen": 12_800_000,
    }
    assert "columns not used: gpus" in str(summary)
    points = store.points(study="all_results")
    ends = sorted((p["schedule"], p["samples_seen"], p["metric"]) for p in points)
    assert ends == [
        ("const", 6_400_000, "acc1"),
        ("cosine", 12_800_000, "acc1"),
        ("cosine", 12_800_000, "image_retrieval_recall@5"),
    ]
    assert record(store, imported).already_there == 5


def test_packed_and_parquet_files_say_the_same(store: Store, tmp_path: Path) -> None:
    record(store, bring_in(tmp_path / "t.csv", frame()), "s")
    packed, parquet = tmp_path / "t.csv.gz", tmp_path / "t.parquet"
    packed.write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    frame().to_parquet(parquet)

    for path in (packed, parquet):
        assert record(store, read(path), "s").already_there == 5
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(DataError, match="is not a whole gzip file"):
        read(packed)


def test_a_column_is_percent_by_all_of_its_rows(tmp_path: Path) -> None:
    table = frame()
    table["acc1"] *= 100

    imported = bring_in(tmp_path / "t.csv", table)

    assert [m.value for m in imported.measurements if m.metric == "acc1"] == [0.1, 0.3, 0.2]
    assert "in percent, divided by 100: acc1" in imported.notes


def test_a_column_that_may_be_either_is_refused_until_said(tmp_path: Path) -> None:
    table = frame(acc1=[0.4, None, 30.0, None, 2.0])

    with pytest.raises(DataError, match=r"'acc1' is ambiguous: 2 .* --percent acc1"):
        bring_in(tmp_path / "t.csv", table)
    imported = bring_in(tmp_path / "t.csv", table, "acc1")
    assert [m.value for m in imported.measurements if m.metric == "acc1"] == [0.004, 0.3, 0.02]


def test_training_losses_are_no_measurements(tmp_path: Path) -> None:
    table = frame(contrastive_loss=1.5)

    assert {m.metric for m in bring_in(tmp_path / "t.csv", table).measurements} == {
        "acc1",
        "image_retrieval_recall@5",
    }


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"epoch": 3}, "line 2, epoch: 3 is after total_epochs 2"),
        ({"epoch": 1.5}, "line 2, epoch: '1.5' is not a count"),
        ({"total_samples_seen": 1e40}, "line 2, total_samples_seen"),
        ({"acc1": -0.5}, "line 2, acc1: '-0.5'"),
        ({"acc1": 1e9}, "line 2, acc1: '1000000000.0'"),
        ({"acc1": "inf"}, "line 2, acc1: 'inf'"),
        ({"namespace": "\t"}, "line 2, namespace"),
        ({"name": "a", "lr_scheduler": "cosine", "epoch": 2}, "says 0.1 about the same thing"),
    ],
)
def test_bad_rows_are_refused_with_their_places(
    tmp_path: Path, changes: dict[str, object], wrong: str
) -> None:
    with pytest.raises(DataError, match=wrong):
        bring_in(tmp_path / "t.csv", frame(**changes))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the column 'total_epochs' is missing; --set"):
        bring_in(tmp_path / "t.csv", frame().drop(columns="total_epochs"))


def test_parquet_with_torn_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    frame(name="a_run_of_ours").to_parquet(path, compression=None)
    path.write_bytes(path.read_bytes().replace(b"a_run_of_ours", b"a_run\xff_f_ours"))

    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read(path)
