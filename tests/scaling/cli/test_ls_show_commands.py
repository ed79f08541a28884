"""`scaling ls` and `scaling show`."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from scaling.cli.app import main
from scaling.cli.columns import cut, show
from scaling.cli.show import sparkline
from scaling.store import Store

OLD = Path(__file__).parents[1] / "store" / "data" / "version-1.db"
TABLE = """family,model,dataset,schedule,samples_seen,task,metric,value,params
gpt,70M,c4,cosine,1000000,lm,loss,3.5,70000000
gpt,70M,c4,cosine,2000000,lm,loss,3.25,70000000
"""
Command = Callable[..., str]


@pytest.fixture
def scaling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command; gives what it prints, or its complaint where the exit code is to be 2."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(OLD, "results.db")

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main([*map(str, words)])
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    Path("lm.csv").write_text(TABLE)
    run("import", "lm.csv")
    return run


def test_studies_trials_and_measurements_are_listed(scaling: Command) -> None:
    studies = json.loads(scaling("ls", "--json"))
    assert [(s["name"], s["measurements"]) for s in studies] == [("small", 6), ("lm", 2)]
    assert scaling("ls").splitlines()[0].split()[:2] == ["name", "source"]
    trials = json.loads(scaling("ls", "trials", "--json"))
    assert [t["state"] for t in trials] == ["complete", "complete", "imported", "imported"]
    assert "gpt-70M-c4-cosine-1M-" in scaling("ls", "trials", "--state", "imported")
    rows = json.loads(scaling("ls", "measurements", "--study", "lm", "--json"))
    assert [row["value"] for row in rows] == [3.5, 3.25]
    assert len(scaling("ls", "measurements", "--limit", "3").splitlines()) == 4


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("studies", "--study", "smal"), "did you mean 'small'"),
        (("trials", "--family", "clp"), "did you mean 'clip'"),
        (("trials", "--state", "done"), "unknown state 'done'"),
        (("measurements", "--task", "ln"), "did you mean 'lm'"),
        (("trials", "--task", "lm"), "--task does not apply to trials"),
        (("cells",), "Invalid value"),
    ],
)
def test_a_wrong_name_is_answered(
    scaling: Command, words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in scaling("ls", *words, code=2)


def test_an_empty_store_says_what_fills_it(
    scaling: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(Path("empty.db")).close()
    for what in ("studies", "trials", "measurements"):
        with pytest.raises(SystemExit, match="0"):
            main(["ls", what, "--db", "empty.db"])
        assert "scaling import PATH" in capsys.readouterr().err
    assert "there is no store" in scaling("ls", "--db", "none.db", code=2)
    assert "no trial's id begins" in scaling("show", "a", "--db", "empty.db", code=2)


def test_show_has_everything_about_an_own_trial(scaling: Command) -> None:
    said = scaling("show", "clip-tiny-a-cosine-256")
    for words in (
        "state         complete",
        "recipe.batch_size      64",
        "study small: shapes cosine at 256 samples",
        "1  done",
        "torch 2.",
        "(missing, or of another size)",
        "mean_per_class_recall",
        "█▃▁▁  5.08 to 4.22",
        "256 samples seen, 0.0836 forward GFLOPs",
    ):
        assert words in said
    found = json.loads(scaling("show", "clip-tiny-a-cosine-256", "--json"))
    assert found["checkpoints"][0]["present"] is False
    path = Path(found["checkpoints"][0]["path"])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * found["checkpoints"][0]["bytes"])
    assert "(missing" not in scaling("show", "clip-tiny-a-cosine-256")


def test_show_knows_imported_trials_and_names_the_nearest(scaling: Command) -> None:
    assert "state         imported" in scaling("show", "gpt-70M-c4-cosine-1M")
    assert "2 trials begin with 'gpt'" in scaling("show", "gpt", code=2)
    assert "nearest: clip-tiny-a" in scaling("show", "clip-tiny-b", code=2)
    assert "no trial's id begins with '%'" in scaling("show", "%", code=2)


def test_hostile_names_do_not_move_the_cursor(scaling: Command) -> None:
    hostile = "a'\"%_;\n\x1b[2Jb"
    with sqlite3.connect("results.db") as connection:
        connection.execute("update study set name = ? where name = 'lm'", [hostile])
    connection.close()
    shown = "a'\"%_;\\n\\x1b[2Jb"
    assert shown in scaling("ls")
    assert shown in scaling("ls", "measurements", "--study", hostile)
    assert shown in scaling("show", "gpt-70M-c4-cosine-1M")
    assert "unknown study" in scaling("ls", "trials", "--study", "a'%", code=2)


def test_a_store_that_is_written_is_listed(scaling: Command) -> None:
    with Store(Path("results.db")) as store, store.writing():
        assert "small" in scaling("ls")


def test_lines_fit_the_terminal_and_keep_both_ends_of_ids(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(["trial", "n"], [["a" * 60 + "z", "1"], ["b", "22"]], right=["n"], width=20)
    head, first, second = capsys.readouterr().out.splitlines()
    assert (head, second) == ("trial              n", "b                 22")
    assert (len(first), first[:3], first[15]) == (20, "aaa", "z")
    assert cut("abcdef", 5) == "ab…ef"


def test_a_curve_is_a_line_of_bars() -> None:
    assert sparkline([3, 2, 1]) == "█▅▁"
    assert sparkline([1]) == "▁"
    assert len(sparkline(range(1000))) <= 60
