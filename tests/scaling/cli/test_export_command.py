"""`scaling export`, and what comes back by `scaling import`."""

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

from scaling.cli.app import main
from scaling.exports import COLUMNS
from scaling.grid import expand, parse_grid
from scaling.points import Selection, load_points
from scaling.store import Ending, Store, TrialState
from scaling.trial import Measurement

Command = Callable[..., str]
GRID = {
    "study": "own",
    "families": ["clip", "mammut"],
    "models": ["tiny-a", "tiny-b", "tiny-c"],
    "samples_seen": [1024, 4096, 16384, 65536, 262144],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": ["cosine"],
    "recipes": [{"batch_size": 64, "learning_rate": [1e-3, 2e-3], "warmup": "256 samples"}],
    "evaluate": ["shapes_classification"],
    "held_out": "compute > 300",
}


def fill(db: Path, **changes: object) -> None:
    """A store with a number for every cell of a grid with a sweep."""
    plan = expand(parse_grid({**GRID, **changes}, "grid.yaml"), text="text", source="grid.yaml")
    with Store(db) as store:
        store.record_plan(plan)
        for number, planned in enumerate(plan.trials):
            trial_id = planned.trial.id
            if store.state(trial_id) is TrialState.COMPLETE:
                continue
            attempt = store.start_attempt(trial_id)
            gflops = planned.profile.published_gflops * planned.samples
            found = [
                Measurement(
                    trial_id=trial_id,
                    samples_seen=planned.samples,
                    task="shapes_classification",
                    metric="acc1",
                    value=1 - 0.2 - 0.7 * (gflops + 1) ** -0.2 - number % 7 / 1000,
                    epochs=1.5,
                )
            ]
            store.finish(trial_id, attempt, Ending("done", TrialState.COMPLETE), found)


@pytest.fixture
def scaling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command; gives what it prints, or its complaint where the exit code is to be 2."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main([*map(str, words)])
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    return run


@pytest.fixture
def own(tmp_path: Path) -> Path:
    fill(tmp_path / "results.db")
    return tmp_path / "results.db"


def table(path: Path) -> pd.DataFrame:
    """What pandas reads without options (with one for JSON, which has no other way)."""
    if path.suffix == ".csv":
        return pd.read_csv(path)
    return (
        pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_json(path, orient="table")
    )


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.json"])
def test_an_export_brought_back_gives_the_same_points_and_fits(
    scaling: Command, own: Path, name: str
) -> None:
    scaling("export", name)
    scaling("import", name, "--db", "back.db")
    scaling("import", name, "--db", "back.db")  # twice changes nothing

    here, thresholds = load_points(own, Selection())
    there, thresholds_there = load_points(Path("back.db"), Selection())
    assert len(here) == 30
    assert set(here["members"]) == {2}
    pd.testing.assert_frame_equal(here.drop(columns="trial"), there.drop(columns="trial"))
    assert thresholds == thresholds_there == {"own": 300}
    fit = ("fit", "--compare", "clip", "mammut", "--refits", "100", "--json", "--db")
    reports = [json.loads(scaling(*fit, db)) for db in ("results.db", "back.db")]
    for report in reports:
        for key in ("db", "created", "sweeps", "data_sha256"):
            report.pop(key, None)
    assert reports[0] == reports[1]
    for convention in ("lean", "full"):
        tables = [
            load_points(Path(db), Selection(compute=convention))[0] for db in (own, "back.db")
        ]  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(*(each.drop(columns="trial") for each in tables))


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.json"])
def test_pandas_reads_an_export_without_options(scaling: Command, own: Path, name: str) -> None:
    scaling("export", name)

    found = table(Path(name))
    assert [*found.columns] == [column.name for column in COLUMNS]
    assert len(found) == 60
    assert found["error"].to_numpy() == pytest.approx(1 - found["value"].to_numpy())
    total = found["gflops_per_sample_lean"] * found["samples_seen"]
    assert found["compute_gflops_lean"].to_numpy() == pytest.approx(total.to_numpy())
    assert set(found["attempt"]) == {1}
    assert json.loads(found["identity"][0])["recipe"]["batch_size"] == 64


def test_units_and_meanings_are_in_the_metadata(scaling: Command, own: Path) -> None:
    for name in ("out.csv", "out.parquet", "out.json"):
        scaling("export", name)

    fields = json.loads(Path("out.json").read_text())["schema"]["fields"]
    beside = json.loads(Path("out.csv-metadata.json").read_text())["tableSchema"]["columns"]
    schema = parquet.read_schema("out.parquet")
    for column, field, other in zip(COLUMNS, fields, beside, strict=True):
        assert (field["name"], field["unit"]) == (column.name, column.unit)
        assert (other["name"], other["unit"]) == (column.name, column.unit)
        metadata = schema.field(column.name).metadata
        assert metadata[b"unit"].decode() == (column.unit or "")
        assert metadata[b"description"].decode() == column.description
    assert "GFLOP/sample" in {field["unit"] for field in fields}


def test_git_friendly_lines_change_only_where_results_do(scaling: Command, own: Path) -> None:
    scaling("export", "one.csv", "--git-friendly")
    before = own.read_bytes()
    fill(own, families=["mammut", "clip"])
    shutil.copy(own, "other.db")
    with sqlite3.connect("other.db") as connection:  # made elsewhere, in another order
        connection.execute("update attempt set host = 'elsewhere', versions = '{}'")
        connection.execute("update measurement set id = 1000 - id")
    connection.close()
    scaling("export", "two.csv", "--git-friendly", "--db", "other.db")

    assert before
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()
    one, two = (Path(f"{n}.csv-metadata.json").read_text() for n in ("one", "two"))
    assert one.replace("one.csv", "two.csv") == two
    scaling("import", "one.csv", "--db", "back.db")
    assert len(load_points(Path("back.db"), Selection())[0]) == 30


def test_filters_choose_and_a_wrong_name_is_answered_with_the_nearest(
    scaling: Command, own: Path
) -> None:
    scaling("export", "a.csv", "--family", "clip", "--model", "tiny-a", "--model", "tiny-b")
    found = table(Path("a.csv"))
    assert (set(found["family"]), set(found["model"])) == ({"clip"}, {"tiny-a", "tiny-b"})
    assert len(found) == 20
    scaling("export", "a.csv", "--state", "complete", "--source", "own", "--study", "own")

    assert "did you mean 'clip'" in scaling("export", "b.csv", "--family", "clp", code=2)
    assert "did you mean 'csv'" in scaling("export", "b.cvs", code=2)
    assert "No such file" in scaling("export", "nowhere/b.csv", code=2)
    assert "--git-friendly is for CSV" in scaling("export", "b.json", "--git-friendly", code=2)
    assert not [*Path().glob("b.*")]


def test_a_file_that_was_there_stays_if_the_export_fails(scaling: Command, own: Path) -> None:
    Path("out.csv").write_text("mine")
    with sqlite3.connect(own) as connection:
        connection.execute("update measurement set value = 'abc' where id = 40")
    connection.close()

    for name in ("out.csv", "out.json", "out.parquet"):
        assert "value is 'abc', not of type number" in scaling("export", name, code=2)
    assert Path("out.csv").read_text() == "mine"
    assert sorted(path.name for path in Path().glob("*out*")) == ["out.csv"]


def test_hostile_names_go_out_and_are_read_as_they_were(scaling: Command, own: Path) -> None:
    hostile = 'a "quoted", name\nof two lines, 100 % \\ _ ; drop table'
    with sqlite3.connect(own) as connection:
        connection.execute("update study set name = ?", [hostile])
    connection.close()

    for name in ("out.csv", "out.parquet", "out.json"):
        scaling("export", name, "--study", hostile)
        assert set(table(Path(name))["study"]) == {hostile}
        complaint = scaling("import", name, "--db", "back.db", code=2)
        assert "is not printable text" in complaint


def test_a_store_without_measurements_gives_a_header(scaling: Command) -> None:
    Store(Path("results.db")).close()
    for name in ("out.csv", "out.parquet", "out.json"):
        scaling("export", name)
        assert len(table(Path(name))) == 0
        assert (
            "is missing" in scaling("import", name, "--db", "b.db", code=2) or name != "out.json"
        )


def test_older_schemas_are_exported(scaling: Command) -> None:
    kept = Path(__file__).parents[1] / "store" / "data" / "version-1.db"
    old = Path(shutil.copy(kept, "old.db"))  # Even a reader leaves -shm and -wal beside it.
    before = old.read_bytes()
    scaling("export", "out.csv", "--db", old)
    assert len(table(Path("out.csv"))) == 6
    assert old.read_bytes() == before


def test_an_export_while_the_store_is_written(scaling: Command, own: Path) -> None:
    with Store(own) as store:
        trial_id = store.points()[0]["trial"]
        store.start_attempt(trial_id)
        with store.writing():  # a transaction that is open
            scaling("export", "out.csv")
    assert len(table(Path("out.csv"))) == 60


def test_two_studies_come_back_as_two_with_what_they_share(scaling: Command, own: Path) -> None:
    fill(own, study="again", samples_seen=[1024, 4096], held_out=None)
    scaling("export", "out.csv")
    assert "study again, own: 60 measurements imported, 24 were" in scaling(
        "import", "out.csv", "--db", "back.db"
    )

    assert "which keep their names" in scaling(
        "import", "out.csv", "--study", "one", "--db", "c.db", code=2
    )
    there, thresholds = load_points(Path("back.db"), Selection())
    assert len(there) == 30 + 12
    assert thresholds == {"own": 300}


def test_an_export_does_not_mix_with_the_grid_that_it_came_from(
    scaling: Command, own: Path
) -> None:
    scaling("export", "out.csv")
    said = scaling("import", "out.csv", code=2)
    assert "holds the results of a grid" in said
    scaling("import", "out.csv", "--study", "copy")
    assert len(load_points(own, Selection(study="copy"))[0]) == 30


@pytest.mark.parametrize(
    ("column", "text", "complaint"),
    [
        ("value", "nan", "value: 'nan' is not a number"),
        ("samples_seen", "-4", "samples_seen: '-4' is not a positive whole"),
        ("identity", "[1]", "identity: '[1]' is not an object"),
        ("gflops_per_sample_lean", "1e999", "is not a positive number"),
        ("held_out_above_gflops", "3", "says otherwise of the same study"),
        ("trial", "", "trial: '' is empty"),
    ],
)
def test_a_changed_export_is_refused_with_its_place(
    scaling: Command, own: Path, column: str, text: str, complaint: str
) -> None:
    scaling("export", "out.csv")
    with Path("out.csv").open() as file:
        rows = [*csv.DictReader(file)]
    rows[7][column] = text
    with Path("out.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)

    said = scaling("import", "out.csv", "--db", "back.db", code=2)
    assert complaint in said
    assert "line" in said


def test_one_trial_with_two_numbers_for_one_thing_is_refused(scaling: Command, own: Path) -> None:
    scaling("export", "out.csv")
    scaling("import", "out.csv", "--db", "back.db")
    scaling("export", "again.csv", "--db", "back.db")
    with Path("again.csv").open() as file:
        rows = [*csv.DictReader(file)]
    rows[1] = {**rows[0], "family": "other", "value": "0.123"}
    with Path("again.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert "said" in scaling("import", "again.csv", "--db", "c.db", code=2)
