"""Tables with any columns: mapping, compute, wide tables, and everything that can be wrong."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from scaling.errors import DataError, StoreError
from scaling.points import Selection, load_points
from scaling.store import Store
from scaling.store.imports import ColumnMap, ImportSummary, read, record
from scaling.store.imports.column_map import parse_pairs
from scaling.store.imports.table import model_name

HEADER = "arch,N,tokens,final loss"
ROWS = ("gpt,70M,1.4B,3.25", "gpt,160000000,1.4e9,3.0", "mamba,70000000,1400000000,3.125")
COLUMNS = {"family": "arch", "params": "N", "samples_seen": "tokens", "value": "final loss"}
CONSTANTS = {"dataset": "c4", "schedule": "cosine", "task": "lm", "metric": "loss"}
MAP = ColumnMap(columns=COLUMNS, constants=CONSTANTS)

File = Callable[..., Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def make(*rows: str, header: str = HEADER, name: str = "lm.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *(rows or ROWS)]) + "\n")
        return path

    return make


def bring_in(store: Store, path: Path, column_map: ColumnMap = MAP) -> ImportSummary:
    return record(store, read(path, columns=column_map))


def test_a_mapped_table_comes_in_once_with_compute_from_parameters(
    store: Store, file: File
) -> None:
    summary = bring_in(store, file())
    again = bring_in(store, file())

    assert (summary.study, summary.imported, again.imported) == ("lm", 3, 0)
    assert again.already_there == 3
    assert "2 x params" in str(summary)
    points = store.points(study="lm")
    assert [(p["family"], p["model"], p["samples_seen"], p["value"]) for p in points] == [
        ("gpt", "160M", 1_400_000_000, 3.0),
        ("gpt", "70M", 1_400_000_000, 3.25),
        ("mamba", "70M", 1_400_000_000, 3.125),
    ]
    assert [(p["params"], p["gflops_per_sample"]) for p in points[:2]] == [
        (160_000_000, 0.32),
        (70_000_000, 0.14),
    ]


def test_parquet_and_tabs_say_the_same_as_commas(store: Store, file: File, tmp_path: Path) -> None:
    bring_in(store, file())
    (tmp_path / "other").mkdir()
    frame = pd.read_csv(file()).assign(N=[70e6, 160e6, 70e6], tokens=1_400_000_000)
    parquet = tmp_path / "other" / "lm.parquet"
    frame.to_parquet(parquet)
    tabs = file(
        *(row.replace(",", "\t") for row in ROWS), header=HEADER.replace(",", "\t"), name="lm.tsv"
    )

    for path in (parquet, tabs):
        assert bring_in(store, path).already_there == 3


@pytest.mark.parametrize(
    ("field", "written", "said"),
    [
        ("compute_gflops", "2.8e8", "total forward GFLOPs"),
        ("compute_flops", "2.8e17", "total forward FLOPs"),
        ("training_flops", "8.4e17", "training FLOPs"),
        ("gflops_per_sample", "0.2", "forward GFLOPs per sample"),
    ],
)
def test_compute_may_be_a_column_of_any_unit(
    store: Store, file: File, field: str, written: str, said: str
) -> None:
    path = file(f"{ROWS[0]},{written}", header=f"{HEADER},C")

    summary = bring_in(store, path, MAP.updated(ColumnMap(columns={field: "C"})))

    assert said in summary.compute
    assert store.points(study="lm")[0]["gflops_per_sample"] == pytest.approx(0.2)


def test_each_metric_column_of_a_wide_table_is_a_metric(store: Store, file: File) -> None:
    path = file("gpt,70M,1B,3.2,3.5", "gpt,160M,1B,3.0,", header="arch,N,tokens,loss_c4,loss_wiki")
    columns = {name: column for name, column in COLUMNS.items() if name != "value"}
    constants = {name: value for name, value in CONSTANTS.items() if name != "metric"}
    wide = ColumnMap(columns=columns, constants=constants, metric_columns=("loss_c4", "loss_wiki"))

    summary = bring_in(store, path, wide)

    assert summary.notes == ("1 empty cells of metric columns left out",)
    assert sorted((p["metric"], p["value"]) for p in store.points(study="lm")) == [
        ("loss_c4", 3.0),
        ("loss_c4", 3.2),
        ("loss_wiki", 3.5),
    ]


def test_a_training_run_may_be_measured_at_several_lengths(store: Store, file: File) -> None:
    path = file(
        "gpt,70M,1B,3.3,a", "gpt,70M,2B,3.2,a", "gpt,70M,2B,3.1,b", header=f"{HEADER},trial"
    )

    summary = bring_in(store, path)

    assert (summary.imported, summary.trials) == (3, 2)
    assert len({p["trial"] for p in store.points(study="lm")}) == 2


def test_a_saved_mapping_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    for column_map in (MAP, ColumnMap(), ColumnMap(metric_columns=("a, b", "c"))):
        column_map.save(path)
        assert ColumnMap.load(path) == column_map


def test_what_is_given_replaces_what_was_saved_field_by_field() -> None:
    changed = MAP.updated(ColumnMap(columns={"dataset": "data"}, constants={"family": "gpt"}))

    assert changed.columns["dataset"] == "data"
    assert "family" not in changed.columns
    assert changed.constants["family"] == "gpt"
    assert "dataset" not in changed.constants


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("columns: [a]", "columns: is not a list of FIELD: NAME"),
        ("colums: {a: b}", "unknown key 'colums'; did you mean 'columns'"),
        ("metric_columns: x", "metric_columns: is not a list of columns"),
        ("[", "is not YAML"),
        ("", "is not a mapping with the keys columns, constants"),
    ],
)
def test_a_bad_mapping_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(content)

    with pytest.raises(DataError, match=message):
        ColumnMap.load(path)


def test_pairs_are_read_with_commas_or_without() -> None:
    assert parse_pairs("--map", ["a=b,c=d e", "f=g=h"]) == {"a": "b", "c": "d e", "f": "g=h"}
    with pytest.raises(DataError, match=r"(?s)'a' is not FIELD=VALUE.*b is given twice"):
        parse_pairs("--map", ["a", "b=1,b=2"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "gpt,70X,1B,3",
            "line 3, N: '70X' is not a count such as 12800000, 1.28e7, 12.8M or 1.4T",
        ),
        ("gpt,70M,0,3", "line 3, tokens: '0' is not a count"),
        ("gpt,70M,1e30,3", "line 3, tokens: '1e30' is not a count"),
        ("gpt,70M,1B,nan", "line 3, final loss: 'nan' is not a number of 0 or more"),
        ("gpt,70M,1B,-1", "line 3, final loss: '-1' is not a number of 0 or more"),
        ("gpt,70M,1B,", "line 3, final loss: '' is not a number of 0 or more"),
        (",70M,1B,3", "line 3, arch: '' is not a name"),
        ("gpt,70M,1B", "line 3: 3 cells, the header has 4"),
        (
            "gpt,70M,1.4B,3.3",
            "line 3, loss: 3.3, but line 2 says 3.25 about the same thing; .* map trial= or seed=",
        ),
        ("gpt,7,0,-1", "2 problems"),
    ],
)
def test_a_bad_row_is_refused_with_its_place_and_nothing_is_written(
    store: Store, file: File, row: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        bring_in(store, file(ROWS[0], row))

    assert [study.name for study in store.studies()] == ["small"]


def test_an_accuracy_in_percent_is_refused(store: Store, file: File) -> None:
    with pytest.raises(DataError, match=r"'71\.5' is not a number from 0 to 1, .* not percent"):
        bring_in(
            store, file("gpt,1M,1M,71.5"), MAP.updated(ColumnMap(constants={"metric": "acc"}))
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": {"famly": "arch"}}, "unknown field 'famly'; did you mean 'family'"),
        ({"columns": {"family": "ach"}}, "family: unknown column 'ach'; did you mean 'arch'"),
        ({"constants": {"value": "3"}}, "value is what was measured, a column"),
        ({"constants": {"dataset": "\t"}}, "the constant dataset: .* is not a name"),
        (
            {"columns": {"compute_gflops": "N", "compute_flops": "N"}},
            "all give compute; map the one",
        ),
        ({"metric_columns": ("N",)}, "metric is given, but the metric columns are the metrics"),
        ({"columns": {"family": "arch"}, "constants": {"family": "a"}}, "is mapped to .* and set"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    store: Store, file: File, change: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        bring_in(store, file(), MAP.updated(ColumnMap(**change)))  # type: ignore[arg-type]


def test_everything_that_a_mapping_lacks_is_said_at_once(store: Store, file: File) -> None:
    with pytest.raises(DataError) as refusal:
        bring_in(store, file(), ColumnMap())

    for name in (
        "family",
        "dataset",
        "schedule",
        "task",
        "metric",
        "value",
        "samples_seen",
        "model",
    ):
        assert f"nothing gives {name}" in str(refusal.value)
    assert "nothing gives compute" in str(refusal.value)


def test_a_changed_table_changes_nothing(store: Store, file: File) -> None:
    bring_in(store, file())
    before = store.points()

    with pytest.raises(StoreError, match=r"line 2, value: 3\.5, an earlier import said 3\.25"):
        bring_in(store, file(ROWS[0].replace("3.25", "3.5"), "gpt,1B,1B,2.9"))

    assert store.points() == before


@pytest.mark.parametrize("content", [b"", b"\n\n", b"PAR1nonsense", b"\xff\xfe", HEADER.encode()])
def test_files_that_hold_no_table_are_refused(
    store: Store, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "lm.csv"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"lm\.csv"):
        bring_in(store, path)


def test_models_of_different_parameters_have_different_names() -> None:
    assert model_name(70_000_000) == "70M"
    assert model_name(1_671_000_000) == "1.671B"
    assert model_name(1_671_500_000) == "1671.5M"
    assert model_name(44_123_456) == "44123.456K"


def test_paths_in_no_known_format_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no format that can be imported .*published: a folder"):
        read(tmp_path)
    with pytest.raises(DataError, match="unknown format 'tabel'; did you mean 'table'"):
        read(tmp_path, "tabel")


def test_an_error_rate_is_its_own_error(store: Store, file: File) -> None:
    column_map = MAP.updated(ColumnMap(constants={"metric": "word_error_rate"}))
    bring_in(store, file("gpt,70M,1B,0.25"), column_map)

    points, _ = load_points(store.db, Selection(study="lm"))

    assert points["error"].tolist() == [0.25]


def test_the_main_metric_of_one_study_hides_no_other_study(store: Store, file: File) -> None:
    bring_in(store, file())
    accuracies = MAP.updated(ColumnMap(constants={"metric": "acc1"}))
    bring_in(store, file("gpt,70M,1B,0.25", name="other.csv"), accuracies)

    points, _ = load_points(store.db, Selection())

    assert set(points["study"]) == {"lm", "other"}
