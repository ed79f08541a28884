"""`scaling data` on real shards."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from scaling.cli.data import data
from scaling.datasets import DATASETS
from scaling.errors import ScalingError


def run(*words: str) -> Result:
    done = CliRunner().invoke(data, words)
    if isinstance(done.exception, ScalingError):
        raise done.exception
    return done


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Three shards of ten samples."""
    done = run("make", str(tmp_path / "made"), "--samples", "30", "--shard-size", "10")
    assert done.exit_code == 0, done.output
    return tmp_path / "made"


def test_make_prints_what_a_grid_takes(tmp_path: Path) -> None:
    done = run("make", str(tmp_path / "set"), "--samples", "30", "--shard-size", "10")

    heading, _, lines = done.stdout.partition("\n")
    assert heading == "30 samples in 3 shards; in a grid:"
    options = yaml.safe_load(lines)["datasets"]["shapes"]
    kind = DATASETS.get(options.pop("kind"))
    assert kind.open(kind.options(**options), 0).read(0, 30, 16).images.shape == (30, 16, 16, 3)


def test_make_again_says_what_was_there(made: Path) -> None:
    done = run("make", str(made), "--samples", "30", "--shard-size", "10", "--json")

    assert json.loads(done.stdout) == {
        "shards": f"{made}/{{00000..00002}}.tar",
        "samples": 30,
        "tars": 3,
        "samples_there": 30,
    }


def test_wrong_counts_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScalingError, match=r"--samples: 'many' .*\n  --shard-size: '0'"):
        run("make", str(tmp_path), "--samples", "many", "--shard-size", "0")


def test_check_ends_with_0_where_all_is_well_1_where_it_is_broken_2_where_it_is_missing(
    made: Path,
) -> None:
    pattern = f"{made}/{{00000..00002}}.tar"
    well = run("check", pattern, "--workers", "1")
    assert well.exit_code == 0
    assert "30 in 3 shards" in well.stdout
    assert "nothing is broken" in well.stdout

    shard = made / "00001.tar"
    content = shard.read_bytes()
    shard.write_bytes(content.replace(b"PNG", b"GNP", 1))
    broken = run("check", pattern, "--workers", "1")
    assert broken.exit_code == 1
    assert f"broken: 1\n  {shard}: sample 000010000: not a picture" in broken.stdout

    missing = run("check", f"{made}/{{00000..00003}}.tar", "--workers", "1", "--json")
    assert missing.exit_code == 2
    report = json.loads(missing.stdout)
    assert report["missing"] == [f"{made}/00003.tar"]
    assert (report["samples"], report["broken"]) == (30, 1)


def test_processes_find_what_one_process_finds(made: Path, tmp_path: Path) -> None:
    patterns = [f"{made}/{{00000..00001}}.tar", f"{made}/00002.tar"]
    reports = []
    for workers in ("1", "2"):
        report = json.loads(run("check", *patterns, "--workers", workers, "--json").stdout)
        del report["seconds"], report["samples_per_second"]
        reports.append(report)
        out = str(tmp_path / workers)
        done = run("repack", *patterns, "-o", out, "--size", "16", "--workers", workers)
        assert "30 samples in 3 shards" in done.stdout

    assert reports[0] == reports[1]
    for path in (tmp_path / "1").glob("*.tar"):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_repack_counts_in_json(made: Path, tmp_path: Path) -> None:
    shard = made / "00001.tar"
    shard.write_bytes(shard.read_bytes().replace(b"PNG", b"GNP", 1))

    done = run(
        *("repack", f"{made}/{{00000..00002}}.tar", "-o", str(tmp_path / "out"), "--workers", "1"),
        "--json",
    )

    report = json.loads(done.stdout)
    assert (report["samples"], report["shrunk"], report["shards_there"]) == (29, 0, 0)
    assert [skipped["key"] for skipped in report["skipped"]] == ["000010000"]


def test_check_imports_neither_torch_nor_ray(made: Path) -> None:
    program = (
        "import sys\n"
        "from scaling.cli import main\n"
        f"try: main(['data', 'check', {str(made / '00000.tar')!r}, '--workers', '1'])\n"
        "except SystemExit as left: assert not left.code, left.code\n"
        "assert not {'torch', 'ray', 'sqlalchemy'} & set(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
