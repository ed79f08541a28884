"""A grid with its checkpoints in a bucket of a real S3 server on this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_trainer import METRICS
from small_plans import counts, plan_of
from test_remote_checkpoints import RemoteRuns

from scaling.errors import StorageError
from scaling.orchestrator import LocalExecutor
from scaling.storage import storage_at

pytest.importorskip("s3fs", reason="pip install s3fs 'moto[server]'")
pytest.importorskip("moto.server", reason="pip install s3fs 'moto[server]'")

SERVER = """
import sys
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
GRID = """
study: in-a-bucket
families: [clip]
models: [tiny-a]
samples_seen: [640, 1280]
datasets: {shapes: {kind: shapes}}
schedules: [const-cooldown]
recipes: [{batch_size: 64, learning_rate: 4e-3, warmup: 64 samples, precision: fp32}]
evaluate: [shapes_retrieval]
"""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket; whoever is started with this environment reaches it."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        for name, value in {
            "FSSPEC_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        import fsspec

        fsspec.config.set_conf_env(fsspec.config.conf)
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket/study"
        fsspec.config.conf.pop("s3")
        server.terminate()


def scaling(*words: object, code: int = 0) -> str:
    command = [sys.executable, "-m", "scaling", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def listed(db: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(scaling("checkpoints", "ls", "--json", "--db", db))
    return rows


@pytest.mark.ray
def test_runs_on_a_bucket_are_those_on_a_folder(bucket: str, tmp_path: Path) -> None:
    grid, here, there = tmp_path / "grid.yaml", tmp_path / "a.db", tmp_path / "b.db"
    grid.write_text(GRID)
    scaling("run", grid, "--db", here, "--executor", "local")
    scratch = ["--scratch", tmp_path / "scratch"]

    scaling("run", grid, "--db", there, "--checkpoints", bucket, "--slots", 2, *scratch)

    assert [row["sha256"] for row in listed(there)] == [row["sha256"] for row in listed(here)]
    assert all(row["present"] and row["path"].startswith(bucket) for row in listed(there))
    assert os.listdir(tmp_path / "scratch" / f"scaling-{os.getuid()}") == []
    scaling("checkpoints", "export", "clip-tiny-a-trunk", "-o", tmp_path / "out", "--db", there)
    assert (tmp_path / "out" / "epoch_2.pt").exists()


def test_a_bug_and_a_second_run_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    runs = RemoteRuns(tmp_path, LocalExecutor)
    runs.root = runs.storage = storage_at(bucket, tmp_path)
    runs.checkpoints = runs.storage.workplace("trial", 1).parent
    runs.checkpoints.mkdir(mode=0o700)
    runs.mischief(trunk={"do": "raise", "at": 768, "times": 1})

    assert counts(runs.run(plan_of()))[2:4] == (1, 1)
    assert counts(runs.run(plan_of(), retry=True)) == (2, 1, 0, 0, len(METRICS))

    (trunk,) = (p.trial.id for p in plan_of().trials if p.trial.kind == "trunk")
    assert "a bug" in runs.storage.read(Path(trunk, "attempt-1.log")).decode()
    assert [name for name in runs.storage.names(Path(trunk)) if name.endswith(".pt")] == [
        "1024-2.pt",
        "512-1.pt",
    ]
    assert runs.leftovers() == []


def test_a_bucket_that_is_not_there_is_refused_before_anything_starts(
    bucket: str, tmp_path: Path
) -> None:
    runs = RemoteRuns(tmp_path, LocalExecutor)
    runs.root = "s3://nobodys-bucket/study"

    with pytest.raises(StorageError, match="s3://nobodys-bucket/study: cannot be written to: "):
        runs.run(plan_of())

    assert runs.show.told == []
