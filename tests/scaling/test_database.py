from pathlib import Path

import pytest

from scaling.database import (
    ServerURL,
    default_checkpoints,
    parse_database,
    run_files,
    without_passwords,
)
from scaling.errors import StoreError

LAB = ServerURL("postgresql+psycopg://me:s3cr3t@host:5433/lab?sslmode=require")


def test_a_place_is_a_file_or_an_address() -> None:
    assert parse_database("results.db") == Path("results.db")
    assert parse_database(Path("a/results.db")) == Path("a/results.db")
    assert parse_database(LAB.secret) == LAB
    assert LAB.name == "lab"


@pytest.mark.parametrize(
    "text",
    [
        "mysql://me:s3cr3t@host/lab",
        "sqlite:///results.db",
        "postgresql+asyncpg://me:s3cr3t@host/lab",
        "postgresql://me:s3cr3t@host",
        "postgresql://me:s3cr3t@host/",
        "postgresql://me:s3cr3t@host:port/lab",
        "postgresql://me:s3cr3t@[host/lab",
    ],
)
def test_other_addresses_are_refused_without_their_password(text: str) -> None:
    with pytest.raises(StoreError, match="a store is a file, or a database") as refusal:
        parse_database(text)

    assert "s3cr3t" not in str(refusal.value)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (LAB.secret, "postgresql+psycopg://me:***@host:5433/lab?sslmode=require"),
        ("postgresql://me:a@b/c:d@host/lab", "postgresql://me:***@host/lab"),
        (
            "postgresql://host/lab?user=me&password=x&a=b",
            "postgresql://host/lab?user=me&password=***&a=b",
        ),
        ("postgresql://me@host/lab", "postgresql://me@host/lab"),
        (
            "run grid.yaml --db postgresql://me:x@host/lab --slots 2",
            "run grid.yaml --db postgresql://me:***@host/lab --slots 2",
        ),
    ],
)
def test_passwords_are_not_shown(written: str, shown: str) -> None:
    assert without_passwords(written) == shown


def test_an_address_hides_its_password_however_it_is_printed() -> None:
    assert LAB.has_password
    assert not ServerURL("postgresql://me@host/lab").has_password
    assert "s3cr3t" not in f"{LAB} {LAB!r} {[LAB]}"


def test_files_of_runs_are_beside_the_file_or_with_the_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert default_checkpoints(Path("a/results.db")) == Path("a/results.checkpoints")
    assert run_files(Path("a/results.db"), None) == Path("a/results.db")
    assert run_files(LAB, "/shared/lab") == Path("/shared/lab/lab.db")
    assert run_files(LAB, "s3://bucket/lab") == tmp_path / "lab.db"
    for ask in (default_checkpoints, lambda db: run_files(db, None)):
        with pytest.raises(StoreError, match=r"say --checkpoints: .* is on a server"):
            ask(LAB)
