"""A run under a storm of kills and full disks ends as if there had been none.

SCALING_CHAOS_SECONDS is how long the storm lasts; SEED draws another one.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos import Chaos
from disks import SmallDisk
from drivers import Drivers, query, results

SECONDS = float(os.environ.get("SCALING_CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("SEED", "0"))

SEEDS = [*range(max(1, round(SECONDS / 20)))]
"""So many that the work lasts longer than the storm."""

GRID = f"""
study: chaos
families: [clip, mammut]
models: [tiny-a, tiny-b]
samples_seen: [4096, 8192]
datasets:
  shapes: {{kind: shapes}}
schedules: [const-cooldown, cosine]
recipes:
  - {{batch_size: 64, learning_rate: 4e-3, warmup: 256 samples, precision: fp32}}
seeds: {SEEDS}
exclude:
  - {{models: tiny-b, families: mammut}}
  - {{models: tiny-b, schedules: cosine}}
  - {{models: tiny-b, samples_seen: 4096}}
  - {{models: tiny-b, seeds: {SEEDS[2:] or [99]}}}
  - {{families: mammut, schedules: cosine}}
resources:
  tiny-b: {{gpus: 0, processes: 2}}
evaluate: [shapes_classification, shapes_retrieval]
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "chaos.yaml"
    path.write_text(GRID)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk | str]:
    """A disk that has room for the run, and a little more; or why there can be none."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        disk = SmallDisk(place, mib=64)
    except OSError as error:
        yield str(error)
        return
    yield disk
    disk.close()


@pytest.fixture
def drivers(grid: Path, tmp_path: Path, disk: SmallDisk | str) -> Iterator[Drivers]:
    db = tmp_path / "disk" / "results.db"
    drivers = Drivers(grid, db, within=() if isinstance(disk, str) else disk.within)
    yield drivers
    drivers.close()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(60 + 15 * SECONDS)
def test_a_run_in_a_storm_ends_as_if_there_had_been_none(
    grid: Path, tmp_path: Path, disk: SmallDisk | str, drivers: Drivers
) -> None:
    undisturbed = tmp_path / "undisturbed" / "results.db"
    undisturbed.parent.mkdir()
    command = [sys.executable, "-m", "scaling", "run", str(grid), "--db", str(undisturbed)]
    subprocess.run([*command, "--executor", "local"], check=True, capture_output=True)
    small = None if isinstance(disk, str) else disk
    chaos = Chaos(drivers, small, SEED)

    try:
        chaos.rage(SECONDS)
        # What failed for want of room, or of a node, is tried again by the next run.
        if drivers.await_end() != 0:
            drivers.finish()
        assert drivers.finish().startswith("nothing to do")
        # Out of its namespace: SQLite follows what `seen` links to, and finds nothing there.
        left = shutil.copytree(small.seen if small else tmp_path / "disk", tmp_path / "left")
        check(drivers, left, undisturbed)
    finally:
        # Shown if the test fails.
        sys.stderr.write("\n".join([*chaos.log, *drivers.said()]))
    if isinstance(disk, str):
        pytest.skip(f"all went well, but no disk was full: {disk}")


def check(drivers: Drivers, folder: Path, undisturbed: Path) -> None:
    """All is there once, to the last bit, and nothing else is."""
    db, checkpoints = folder / "results.db", folder / "results.checkpoints"
    assert results(db) == results(undisturbed)
    assert query(db, "PRAGMA integrity_check") == [("ok",)]
    assert query(db, "SELECT DISTINCT state FROM trial") == [("complete",)]
    saved = dict(query(db, "SELECT path, sha256 FROM checkpoint"))
    for path, sha256 in saved.items():
        assert hashlib.sha256((checkpoints / path).read_bytes()).hexdigest() == sha256
    said = "".join(drivers.said())
    assert "Traceback" not in said
    assert "internal error" not in said
    assert drivers.leftovers() == []
    assert [*folder.rglob("*.tmp")] == []
