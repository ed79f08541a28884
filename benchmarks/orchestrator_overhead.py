"""What a trial costs beyond its training: trials that do nothing, here and under Ray Tune.

    python benchmarks/orchestrator_overhead.py

Each trial leaves one measurement: here a line of its journal and a row of the store, both on the
disk before anything goes on; in Tune one `tune.report`, whose files it flushes but does not sync.
Ray, where it is used, has two CPUs and stands before the clock starts. CPU seconds are those of
the process and of all that descend from it, Ray's own included. Tune without reuse gets
few trials, as each takes seconds.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from os import environ, pathsep, sysconf
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaling.trial import Event, Work

CONTESTANTS = {
    "here, in this process": ("local", 200),
    "here, Ray": ("ray", 200),
    "Tune, actors reused": ("tune-reuse", 200),
    "Tune": ("tune", 10),
}
"""Who runs how many trials."""
OURS = ("local", "ray")
_SECONDS_TO_SETTLE = 5.0
"""For Ray to start the workers that it keeps ready."""
_SECONDS_BETWEEN_LOOKS = 0.05


def train(work: "Work") -> Iterator["Event"]:
    """Measure without training."""
    from scaling.train.journal import Journal
    from scaling.trial import Measurement

    (stop,) = work.stops
    journal = Journal(work.directory, work.attempt)
    yield journal.record(
        Measurement(
            trial_id=work.trial.id,
            samples_seen=stop.samples_seen,
            task=stop.tasks[0],
            metric="acc1",
            value=0.5,
        )
    )
    journal.close()


def run_here(executor: str, trials: int, folder: Path) -> None:
    """Run trials that differ in their seed."""
    from scaling.grid import expand, parse_grid
    from scaling.orchestrator import LocalExecutor, RayExecutor, run_plan, stderr_display
    from scaling.store import Store

    grid = {
        "study": "overhead",
        "families": ["clip"],
        "models": ["tiny-a"],
        "samples_seen": [1280],
        "datasets": {"shapes": {"kind": "shapes"}},
        "schedules": ["cosine"],
        "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "64 samples"}],
        "evaluate": ["shapes_classification"],
        "seeds": list(range(trials)),
    }
    plan = expand(parse_grid(grid, "grid.yaml"), text="", source="grid.yaml")
    kind = LocalExecutor if executor == "local" else RayExecutor
    say("begin")
    with Store(folder / "results.db") as store:
        outcome = run_plan(
            plan,
            store,
            checkpoints=folder / "checkpoints",
            executor=kind(trainer="orchestrator_overhead:train"),
            show=stderr_display(),
        )
    say("end")
    assert (outcome.done, outcome.measurements) == (trials, trials), outcome


def run_tune(*, reuse: bool, trials: int, folder: Path) -> None:
    """Run a trainable that reports once."""
    from ray import tune

    def trainable(config: dict[str, int]) -> None:
        tune.report({"acc1": 0.5})

    tuner = tune.Tuner(
        trainable,
        param_space={"seed": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(reuse_actors=reuse),
        run_config=tune.RunConfig(name="overhead", storage_path=str(folder), verbose=0),
    )
    say("begin")
    results = tuner.fit()
    say("end")
    assert [result.metrics["acc1"] for result in results] == [0.5] * trials


def say(word: str) -> None:
    """Tell the process that measures, and wait until it has read the clocks."""
    print(word, flush=True)
    sys.stdin.readline()


class Tree:
    """CPU time of a process and of its descendants, those that have ended included."""

    def __init__(self, pid: int) -> None:
        """Looks from now on; what ends between two looks loses its last moments."""
        self._ticks: dict[tuple[int, int], int] = {}
        self._root = pid
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def seconds(self) -> float:
        """CPU seconds so far."""
        with self._lock:
            self._look()
            return sum(self._ticks.values()) / sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(_SECONDS_BETWEEN_LOOKS):
            self.seconds()

    def _look(self) -> None:
        # A process is known by its number and the time of its start, as numbers come again;
        # sorted by that time, parents stand before their children.
        found = sorted(_processes())
        started = {pid: begun for begun, pid, _, _ in found}
        for begun, pid, parent, ticks in found:
            is_ours = (parent, started.get(parent)) in self._ticks
            if is_ours or pid == self._root or (pid, begun) in self._ticks:
                self._ticks[pid, begun] = ticks


def _processes() -> Iterator[tuple[int, int, int, int]]:
    """When each process started, its number, its parent's, and its CPU time; times in ticks."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # Fields as proc(5) numbers them, from the third on: names may hold spaces.
            fields = path.read_text().rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
            yield int(fields[19]), int(path.parent.name), int(fields[1]), ticks


def measure(contestant: str, trials: int) -> tuple[float, float]:
    """Wall and CPU seconds of a trial."""
    here = str(Path(__file__).parent)
    paths = [here, *filter(None, [environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, __file__, contestant, str(trials), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ray's workers import the trainer by its name.
            env={**environ, "PYTHONPATH": pathsep.join(paths), "RAY_USAGE_STATS_ENABLED": "0"},
        )
        assert process.stdin
        assert process.stdout
        tree = Tree(process.pid)
        clocks = []
        for line in process.stdout:
            if line.strip() in ("begin", "end"):
                clocks.append((time.perf_counter(), tree.seconds()))
                process.stdin.write("\n")
                process.stdin.flush()
        tree.close()
        if process.wait():
            raise SystemExit(f"{contestant} failed")
    (wall_before, cpu_before), (wall, cpu) = clocks
    return (wall - wall_before) / trials, (cpu - cpu_before) / trials


def compete(contestant: str, trials: int, folder: Path) -> None:
    """Run trials in this process, saying when they begin and when they have ended."""
    if contestant != "local":
        import ray

        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=80 * 2**20,
            log_to_driver=False,
        )
        time.sleep(_SECONDS_TO_SETTLE)
    if contestant.startswith("tune"):
        run_tune(reuse=contestant == "tune-reuse", trials=trials, folder=folder)
    else:
        run_here(contestant, trials, folder)


def main() -> None:
    """Print a row per contestant, with its CPU time over that of both of ours."""
    cpu: dict[str, float] = {}
    for name, (contestant, trials) in CONTESTANTS.items():
        wall, cpu[contestant] = measure(contestant, trials)
        times = [f"{cpu[contestant] / cpu[ours]:.1f} times {ours}" for ours in OURS if ours in cpu]
        print(
            f"{name}, {trials} trials: {1e3 * wall:.1f} ms a trial, "
            f"{1e3 * cpu[contestant]:.1f} ms of CPU: {', '.join(times)}"
        )


if __name__ == "__main__":
    if arguments := sys.argv[1:]:
        compete(arguments[0], int(arguments[1]), Path(arguments[2]))
    else:
        main()
