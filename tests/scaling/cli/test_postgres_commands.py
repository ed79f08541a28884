"""The commands on a store of a server, as a person calls them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from postgres_server import Server

from scaling.cli.app import main

PUBLISHED = Path(__file__).parents[3] / "experiments" / "published"
GRID = """
study: small
families: [clip]
models: [tiny-a]
samples_seen: [256]
datasets: {shapes: {kind: shapes}}
recipes: [{batch_size: 32, warmup: 64 samples}]
evaluate: [shapes_retrieval]
"""
NODES = ("--nodes", "1", "--gpus-per-node", "1", "--time", "1:00:00")

Command = Callable[..., str]


@pytest.fixture
def scaling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command in a folder of its own; gives what it says, all of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text(GRID)

    def run(*words: object, code: int = 0) -> str:
        try:
            main([*map(str, words)])
            left: object = 0
        except SystemExit as end:
            left = end.code or 0
        said = capsys.readouterr()
        assert left == code, said.err
        assert "secret" not in said.out + said.err
        return said.out if code == 0 else said.err

    return run


def test_published_results_come_in_and_are_read_as_from_a_file(
    scaling: Command, postgres: Server
) -> None:
    there = postgres.place().secret
    for db, table in ((there, "there.csv"), ("results.db", "here.csv")):
        scaling("import", PUBLISHED, "--db", db)
        scaling("export", table, "--git-friendly", "--db", db)

    assert Path("there.csv").read_bytes() == Path("here.csv").read_bytes()


@pytest.mark.parametrize(
    "words",
    [("run", "grid.yaml"), ("status",)],
    ids=lambda words: words[0],
)
def test_who_needs_checkpoints_says_that_they_must_be_said(
    scaling: Command, words: tuple[str, ...]
) -> None:
    said = scaling(*words, "--db", "postgresql://me:secret@nowhere.invalid/lab", code=2)

    assert "say --checkpoints: postgresql://me:***@nowhere.invalid/lab is on a server" in said


def test_a_script_never_holds_a_password(scaling: Command) -> None:
    db = "postgresql://me:secret@host/lab"

    slurm = ("slurm", "grid.yaml", *NODES, "--checkpoints", "/shared/lab", "--db")

    said = scaling(*slurm, db, code=2)
    script = scaling(*slurm, db.replace(":secret", ""))

    assert "would hold the password" in said
    assert "db=postgresql://me@host/lab\n" in script


def test_a_dry_run_and_the_status_know_a_server(scaling: Command, postgres: Server) -> None:
    place = ("--db", postgres.place().secret, "--checkpoints", "shared")
    scaling("run", "grid.yaml", "--dry-run", *place)
    assert "there is no store at" in scaling("status", *place, code=2)

    scaling("run", "grid.yaml", "--executor", "local", *place)

    assert "nothing to do" in scaling("run", "grid.yaml", "--executor", "local", *place)
    status = json.loads(scaling("status", "--json", *place))
    assert status["driver"]["state"] == "ended"
    assert status["store"].startswith("postgresql+psycopg://tester:***@/postgres")
    (log,) = Path("shared").glob("*.log")
    assert log.name == "postgres.log"
