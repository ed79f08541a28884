import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from scaling.errors import DataError, ScalingError, StoreError
from scaling.store import Store
from scaling.store.imports import ImportSummary, read, record

PUBLISHED = Path(__file__).parents[3] / "experiments" / "published"
HEADER = "family,model,dataset,schedule,samples_seen,task,metric,value,source"
ROW = "clip,ViT-B-32,datacomp_1b,cosine,12800000,imagenet1k,acc1,0.25,table 1"
PROFILE_HEADER = (
    "family,model,image_size,params_million,image_params_million,text_params_million,"
    "forward_gflops_per_sample"
)
PROFILE = f"{PROFILE_HEADER}\nclip,ViT-B-32,224,151.28,87.85,63.43,14.54\n"

Folder = Callable[..., Path]


def bring_in(store: Store, folder: Path, study: str | None = None) -> ImportSummary:
    return record(store, read(folder, "published"), study)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes a folder to import from."""

    def make(*lines: str, profile: str = PROFILE, name: str = "tables") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "measurements.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        (folder / "model_profile.csv").write_text(profile)
        return folder

    return make


def test_the_published_tables_come_in_whole_and_once(store: Store) -> None:
    with (PUBLISHED / "measurements.csv").open() as file:
        rows = list(csv.DictReader(file))

    summary = bring_in(store, PUBLISHED)
    again = bring_in(store, PUBLISHED)

    assert (summary.imported, summary.already_there) == (len(rows), 0)
    assert (again.imported, again.already_there) == (0, len(rows))
    assert summary.families_without_gflops == ("cap",)
    assert summary.without_gflops == sum(row["family"] == "cap" for row in rows)
    points = store.points(study="published")
    columns = ("family", "model", "dataset", "schedule", "samples_seen", "task", "metric", "value")
    assert sorted(tuple(str(point[name]) for name in columns) for point in points) == sorted(
        (*(row[name] for name in columns[:-1]), str(float(row["value"]))) for row in rows
    )
    assert {point["family"] for point in points if point["gflops_per_sample"] is None} == {"cap"}


def test_the_study_may_have_another_name(store: Store, folder: Folder) -> None:
    assert bring_in(store, folder(ROW), study="theirs").study == "theirs"
    assert bring_in(store, folder(ROW)).study == "tables"

    assert {point["study"] for point in store.points()} == {"theirs", "tables"}


def test_rows_added_to_a_table_are_added_to_the_store(store: Store, folder: Folder) -> None:
    bring_in(store, folder(ROW))

    summary = bring_in(store, folder(ROW, ROW.replace("acc1,0.25", "acc5,0.5")))

    assert (summary.imported, summary.already_there) == (1, 1)


def test_a_row_that_is_there_twice_counts_once(store: Store, folder: Folder) -> None:
    assert bring_in(store, folder(ROW, ROW)).imported == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace("0.25", "25"), "line 3, value: '25' is not a number from 0 to 1"),
        (ROW.replace("0.25", "-0.1"), "line 3, value: '-0.1' is not a number from 0 to 1"),
        (ROW.replace("0.25", "nan"), "line 3, value: 'nan' is not a number from 0 to 1"),
        (ROW.replace("0.25", "1e-9999"), "line 3, value: '1e-9999' is not a number from 0 to 1"),
        (ROW.replace("0.25", "much"), "line 3, value: 'much' is not a number from 0 to 1"),
        (
            ROW.replace("12800000", "12.8M"),
            "line 3, samples_seen: '12.8M' is not a positive whole",
        ),
        (ROW.replace("12800000", "0"), "line 3, samples_seen: '0' is not a positive whole number"),
        (ROW.replace("12800000", "9" * 30), "is not a positive whole number"),
        (ROW.replace("clip", ""), "line 3, family: '' is not a name"),
        (ROW.replace("acc1", "acc\x001"), "line contains NUL|is not a name"),
        (ROW.replace("0.25", "0.26"), "line 3, value: 0.26, but line 2 says 0.25 about the same"),
        (ROW + ",more", "line 3: 10 cells, the header has 9"),
        ("clip,ViT-B-32", "line 3: 2 cells, the header has 9"),
        ('"clip', "is not CSV"),
    ],
)
def test_a_bad_row_is_refused_and_nothing_of_its_file_written(
    store: Store, folder: Folder, row: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        bring_in(store, folder(ROW, row))

    assert "measurements.csv" in str(refusal.value)
    assert [study.name for study in store.studies()] == ["small"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace(",value", ""), "the column 'value' is missing"),
        (HEADER + ",note", "unknown column 'note'"),
        (HEADER.replace("metric", "metrik"), "unknown column 'metrik'; did you mean 'metric'"),
        (HEADER + ",value", "the column 'value' is there twice"),
        ("", "is empty; its first line must name the columns family, model"),
    ],
)
def test_a_bad_header_is_refused(store: Store, folder: Folder, header: str, message: str) -> None:
    tables = folder()
    (tables / "measurements.csv").write_text(header)

    with pytest.raises(DataError, match=message):
        bring_in(store, tables)


def test_all_problems_of_a_file_are_told_at_once(store: Store, folder: Folder) -> None:
    bad = [ROW.replace("0.25", "2"), ROW.replace("clip", "").replace("0.25", "3")]

    with pytest.raises(DataError, match="3 problems"):
        bring_in(store, folder(*bad))
    with pytest.raises(DataError, match="and 10 more"):
        bring_in(store, folder(*bad[:1] * 30))


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00f\x00a", b"\x00" * 100, b"family\n" + b"x" * 200_000, b"a,\xe9\n"]
)
def test_bytes_that_are_no_table_are_refused(store: Store, folder: Folder, content: bytes) -> None:
    tables = folder()
    (tables / "measurements.csv").write_bytes(content)

    with pytest.raises(DataError, match=r"measurements\.csv"):
        bring_in(store, tables)


def test_a_byte_order_mark_and_other_line_ends_do_no_harm(store: Store, folder: Folder) -> None:
    tables = folder()
    (tables / "measurements.csv").write_bytes(
        b"\xef\xbb\xbf" + "\r\n".join([HEADER, "", ROW]).encode()
    )

    assert bring_in(store, tables).imported == 1


def test_missing_files_are_named(store: Store, folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file or folder"):
        bring_in(store, tmp_path / "nowhere")
    tables = folder(ROW)
    (tables / "model_profile.csv").unlink()
    with pytest.raises(DataError, match=r"model_profile\.csv: cannot be read"):
        bring_in(store, tables)


def test_an_import_that_contradicts_an_earlier_one_changes_nothing(
    store: Store, folder: Folder
) -> None:
    bring_in(store, folder(ROW))
    before = store.points()

    new, changed = ROW.replace("acc1,0.25", "acc5,0.5"), ROW.replace("0.25", "0.26")
    with pytest.raises(StoreError, match=r"line 3, value: 0\.26, an earlier import said 0\.25"):
        bring_in(store, folder(new, changed))
    with pytest.raises(StoreError, match=r"is 15\.0, an earlier import said 14\.54"):
        bring_in(store, folder(new, profile=PROFILE.replace("14.54", "15")))

    assert store.points() == before


def test_an_import_does_not_mix_with_the_results_of_a_grid(store: Store, folder: Folder) -> None:
    with pytest.raises(ScalingError, match="'small' is there already and holds the results of a"):
        bring_in(store, folder(ROW), study="small")


def test_a_profile_with_a_bad_number_is_refused(store: Store, folder: Folder) -> None:
    with pytest.raises(DataError, match="forward_gflops_per_sample: '-1' is not a positive"):
        bring_in(store, folder(ROW, profile=PROFILE.replace("14.54", "-1")))
