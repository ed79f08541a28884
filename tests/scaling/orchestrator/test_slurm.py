"""The batch job of `scaling slurm`, run by a shell that finds stand-ins for SLURM's programs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scaling.cli.app import main
from scaling.errors import ScalingError
from scaling.orchestrator.filesystems import shared_type
from scaling.orchestrator.slurm import parse_time
from scaling.orchestrator.status import read_status
from scaling.store import TrialState

GRID = """
study: batch
families: [clip]
models: [tiny-a]
samples_seen: [6400, 12800]
datasets: {shapes: {kind: shapes}}
schedules: [const-cooldown]
recipes: [{batch_size: 64, learning_rate: 1e-3, warmup: 64 samples}]
evaluate: [shapes_classification]
"""

SRUN = """#!/bin/bash
# Runs the step on this machine, as node 0; a signal reaches all of its processes.
while [[ $1 == --* ]]; do echo "srun $1" >> "$CALLS"; shift; done
SLURM_NODEID=0 setsid "$@" &
step=$!
trap 'kill -TERM -- "-$step"' TERM
wait "$step"; wait "$step"
"""

SCONTROL = '#!/bin/bash\necho "scontrol $*" >> "$CALLS"\n'

SCALING = """#!/bin/bash
# Ends with the codes that it is given, one each time; 'wait' waits to be asked to stop.
echo "scaling $*" >> "$CALLS"
trap 'echo asked >> "$CALLS"; sleep 0.3; exit 130' TERM
case $CODE in
  wait) for _ in {1..100}; do sleep 0.1; done; exit 9 ;;
  *) exit "$CODE" ;;
esac
"""

RAY = '#!/bin/bash\necho "ray $*" >> "$CALLS"\nexec sleep 60\n'

PYTHON = """#!/bin/bash
# Waits for the nodes.
until grep -q "^ray start" "$CALLS"; do sleep 0.05; done
"""


class Batch:
    """A folder with a job, and stand-ins for the programs that it calls."""

    def __init__(self, folder: Path, **programs: str) -> None:
        self.folder, self.shims = folder, folder / "shims"
        self.calls = folder / "calls.txt"
        self.calls.touch()
        self.started: list[subprocess.Popen[bytes]] = []
        self.shims.mkdir()
        for name, text in {"srun": SRUN, "scontrol": SCONTROL, **programs}.items():
            (self.shims / name).write_text(text)
            (self.shims / name).chmod(0o755)
        (folder / "grid.yaml").write_text(GRID)
        self.job, self.db = folder / "job.sbatch", folder / "results.db"

    def write(self, *words: str) -> str:
        setup = f"--setup=export PATH={self.shims}:$PATH"
        grid = str(self.folder / "grid.yaml")
        files = ["-o", str(self.job), "--db", str(self.db)]
        with pytest.raises(SystemExit, match="0"):
            main(["slurm", grid, "--nodes", "1", "--time", "10", setup, *files, *words])
        return self.job.read_text()

    def start(self, **variables: str) -> "subprocess.Popen[bytes]":
        """What `sbatch` would do on the first node."""
        environment = {
            **os.environ,
            "CALLS": str(self.calls),
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_CPUS_ON_NODE": "2",
            "SLURM_JOB_END_TIME": str(int(time.time()) + 600),
            "TMPDIR": "/tmp",
            "head_ip": "127.0.0.1",
            **variables,
        }
        job = subprocess.Popen(["bash", str(self.job)], env=environment, cwd=self.folder)
        self.started.append(job)
        return job

    def stop(self) -> None:
        """Leave nothing behind, whatever failed."""
        for job in self.started:
            if job.poll() is None:
                job.terminate()
                job.wait(timeout=30)

    def called(self, what: str) -> int:
        return sum(line.startswith(what) for line in self.calls.read_text().splitlines())


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Batch]:
    """A job whose Ray and driver are stand-ins, too."""
    batch = Batch(tmp_path, ray=RAY, scaling=SCALING, python=PYTHON)
    batch.write()
    yield batch
    batch.stop()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Batch]:
    """A job with Ray, the driver and its trials as they are."""
    batch = Batch(tmp_path)
    batch.write("--cpus-per-node", "2")
    yield batch
    batch.stop()


@pytest.mark.parametrize(
    ("code", "restarts", "exit_code", "requeued"),
    [("0", "0", 0, 0), ("1", "0", 1, 0), ("3", "0", 0, 1), ("3", "100", 3, 0), ("2", "0", 2, 0)],
)
def test_only_what_is_unfinished_goes_back_into_the_queue(
    shell: Batch, code: str, restarts: str, exit_code: int, requeued: int
) -> None:
    job = shell.start(CODE=code, SLURM_RESTART_COUNT=restarts)

    assert job.wait(timeout=20) == exit_code
    assert shell.called(f"scontrol requeue {os.getpid()}") == requeued
    assert shell.called("ray start --head --node-ip-address=127.0.0.1 --port=") == 1


def test_the_driver_is_asked_once_to_save_and_then_waited_for(shell: Batch) -> None:
    job = shell.start(CODE="wait")
    await_that(lambda: shell.called("scaling run") == 1)
    job.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    job.send_signal(signal.SIGTERM)

    assert job.wait(timeout=20) == 0
    assert (shell.called("asked"), shell.called("scontrol requeue")) == (1, 1)


def test_a_job_whose_ray_does_not_start_ends(tmp_path: Path) -> None:
    batch = Batch(tmp_path, ray="#!/bin/bash\nexit 7\n", python="#!/bin/bash\nexec sleep 30\n")
    batch.write()

    assert batch.start().wait(timeout=20) == 1
    assert batch.called("scontrol") == 0


@pytest.mark.ray
def test_a_job_on_ray_that_is_stopped_goes_back_into_the_queue(real: Batch) -> None:
    batch, job = real, real.start()
    await_that(lambda: any(trial["samples_seen"] for trial in running(batch.db)), seconds=120)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=120) == 0
    assert batch.called("scontrol requeue") == 1
    states = read_status(batch.db).overview.states["clip"]
    assert states.get(TrialState.PENDING, 0) > 0
    assert not Path(f"/tmp/ray-{os.getpid()}").exists()


def running(db: Path) -> "list[dict[str, int]]":
    status = db.with_suffix(".status.json")
    found: list[dict[str, int]] = (
        json.loads(status.read_text())["running"] if status.exists() else []
    )
    return found


def await_that(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_job_asks_for_what_was_asked(tmp_path: Path) -> None:
    text = Batch(tmp_path).write("--gpus-per-node", "4", "--partition", "gpu", "--qos", "high")

    lines = text.splitlines()
    for line in (
        "--nodes=1",
        "--gpus-per-node=4",
        "--partition=gpu",
        "--qos=high",
        "--exclusive",
        "--time=00:10:00",
        "--signal=B:USR1@180",
        "--requeue",
    ):
        assert f"#SBATCH {line}" in lines
    assert f"export PATH={Path(sys.executable).parent}:$PATH" in lines
    subprocess.run(["bash", "-n", str(tmp_path / "job.sbatch")], check=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("06:00:00", 21600),
        ("2-00", 172800),
        ("1-06", 108000),
        ("1-06:30", 109800),
        ("1-00:00:10", 86410),
    ],
)
def test_limits_are_read_as_sbatch_reads_them(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "6h", "1:2:3:4", "-1"])
def test_other_limits_are_refused(text: str) -> None:
    with pytest.raises(ScalingError, match="hours:minutes:seconds"):
        parse_time(text)


def test_too_short_a_limit_and_too_many_gpus_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(GRID + "resources: {tiny-a: {gpus: 8}}\n")
    words = ["slurm", str(grid), "--nodes", "1"]
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--time", "4", "--gpus-per-node", "8"])
    assert "240 s are too short" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--time", "60", "--gpus-per-node", "4"])
    assert "asks for 8 GPUs; the job has 4" in capsys.readouterr().err


def test_network_file_systems_are_known_by_their_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\n/dev/sdb /home/local xfs rw 0 0\n"
        "x /my\\040data fuse.gpfs rw 0 0\n"
    )
    assert shared_type(Path("/home/me/results.db"), mounts) == "nfs4"
    assert shared_type(Path("/home/local/results.db"), mounts) is None
    assert shared_type(Path("/var/results.db"), mounts) is None
    assert shared_type(Path("/my data/results.db"), mounts) == "fuse.gpfs"
