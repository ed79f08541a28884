"""`scaling sql`: everything can be asked, nothing can be changed."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scaling.cli.app import main
from scaling.store import Store

OLD = Path(__file__).parents[1] / "store" / "data" / "version-1.db"
Command = Callable[..., str]


@pytest.fixture
def scaling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command; gives what it prints, or its complaint where the exit code is to be 2."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(OLD, "results.db")
    Store(Path("results.db")).close()  # of the latest schema

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main([*map(str, words)])
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    return run


def test_an_answer_is_a_table_json_or_csv(scaling: Command) -> None:
    query = "select task, 0.5 as half, null as n, 'a\nb' as t, x'0f' as b, 9e999 as i"
    query += " from measurement limit 1"
    assert scaling("sql", query).splitlines() == [
        "task                   half  n  t     b     i",
        "shapes_classification   0.5     a\\nb  0f  inf",
    ]
    found = json.loads(scaling("sql", query, "--json"))
    expected = {"task": "shapes_classification", "half": 0.5, "n": None, "t": "a\nb", "b": "0f"}
    assert found == [{**expected, "i": "inf"}]
    assert scaling("sql", query, "--csv").splitlines() == [
        "task,half,n,t,b,i",
        'shapes_classification,0.5,,"a',
        'b",0f,inf',
    ]


def test_a_long_answer_is_cut_and_says_so(
    scaling: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500) "
    with pytest.raises(SystemExit):
        main(["sql", f"{numbers} select i, i from n", "--csv"])
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "i,i_2"
    assert len(said.out.splitlines()) == 1001
    assert "the first 1,000 rows; --limit 0 shows all" in said.err
    assert len(scaling("sql", f"{numbers} select i from n", "--limit", 0).splitlines()) == 1501


@pytest.mark.parametrize(
    "statement",
    [
        "delete from trial",
        "update measurement set value = 1",
        "insert into trial select * from trial",
        "drop table trial",
        "create table mine (a)",
        "create temp table mine (a)",
        "attach 'other.db' as other",
        "vacuum",
        "vacuum into 'other.db'",
        "pragma user_version = 99",
        "pragma journal_mode = delete",
        "pragma query_only = off",
        "pragma writable_schema = on",
        "begin",
        "select load_extension('x')",
        "with a as (select 1) delete from trial",
        "explain delete from trial",
    ],
)
def test_nothing_can_be_changed(scaling: Command, statement: str) -> None:
    before = Path("results.db").read_bytes()
    assert "only reading is possible" in scaling("sql", statement, code=2)
    assert Path("results.db").read_bytes() == before
    assert not Path("other.db").exists()


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("select 1; delete from trial", "one statement at a time"),
        ("select * from trail", "did you mean 'trial'"),
        ("select famly from trial", "did you mean 'family'"),
        ("select t.famly from trial t", "did you mean 'family'"),
        ("selec", "syntax error"),
        (" ; ", "there is no statement"),
        ("-- nothing", "that is no query"),
        ("select ?", "SQLite: "),
        ("select zeroblob(1000000000)", "more than 64 MiB"),
        ("select 1\0", "SQLite: "),
    ],
)
def test_what_is_wrong_is_said(scaling: Command, statement: str, complaint: str) -> None:
    said = scaling("sql", "--", statement, code=2)
    assert complaint in said
    assert "Traceback" not in said


def test_json_and_tables_can_be_looked_into(scaling: Command) -> None:
    query = "select distinct identity ->> '$.family' as family from trial"
    assert "clip" in scaling("sql", query)
    assert scaling("sql", "select value from json_each('[1, 2]')", "--csv") == "value\n1\n2\n"
    assert "family" in scaling("sql", "select name from pragma_table_info('trial')")
    assert "SEARCH" in scaling("sql", "explain query plan select * from trial where id = 'a'")


def test_an_older_store_looks_like_the_latest_and_stays_old(scaling: Command) -> None:
    old = Path(shutil.copy(OLD, "old.db"))
    assert "acc1" in scaling("sql", "select metric, epochs from measurement", "--db", old)
    assert old.read_bytes() == OLD.read_bytes()


def test_a_store_that_is_written_is_read(scaling: Command) -> None:
    with Store(Path("results.db")) as store, store.writing():
        assert "6" in scaling("sql", "select count(*) from measurement")


def test_text_that_is_no_text_is_shown_as_far_as_it_is(scaling: Command) -> None:
    with sqlite3.connect("results.db") as connection:
        connection.execute("update study set name = cast(x'61ff1b' as text)")
    connection.close()
    assert "a\N{REPLACEMENT CHARACTER}\\x1b" in scaling("sql", "select name from study")


def test_every_table_is_explained(scaling: Command) -> None:
    said = json.loads(scaling("sql", "--schema", "--json"))
    there = scaling("sql", "select name from sqlite_master where type = 'table'", "--csv")
    assert {table["name"] for table in said} == set(there.split()[1:])
    assert all(table["meaning"] for table in said)
    value = next(c for t in said for c in t["columns"] if c["name"] == "value")
    assert "fractions" in value["meaning"]
    assert "one row for each trial_id, samples_seen" in scaling("sql", "measurement", "--schema")
    assert "did you mean 'cell'" in scaling("sql", "cel", "--schema", code=2)


def test_ctrl_c_ends_a_statement_that_does_not_end(scaling: Command) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) "
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import scaling.store.sql\n"
        "from scaling.cli import main\n"
        "print('ready', flush=True)\n"
        f"main(['sql', {endless + 'select count(*) from n'!r}])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
    finally:
        process.kill()
    assert "Traceback" not in complaint
    assert process.returncode == 130
