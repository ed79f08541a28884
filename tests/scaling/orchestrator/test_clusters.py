"""Clusters whose nodes come and go: raylets on this machine, with GPUs that are not there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_trainer import METRICS, steps
from small_plans import Runs, plan_of
from test_gang import TRAINER, TWO, saw
from test_retries import attempts
from test_stopping import await_line, start

from scaling.orchestrator import LocalExecutor

FOLDER = Path(__file__).parent
pytestmark = [pytest.mark.ray, pytest.mark.slow]


class Raylets:
    """A cluster in a process of its own; see `raylets.py`."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, str(FOLDER / "raylets.py")],
            env={**os.environ, "PYTHONPATH": path, "RAY_AUTH_MODE": "token"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self.answer()
        self.added = 0

    def answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the cluster is gone"
        return line.strip()

    def tell(self, order: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        assert self.answer() == "ok"

    def add(self, cpus: int, gpus: int = 0) -> int:
        """Add a node; its number."""
        self.tell(f"add {cpus} {gpus}")
        self.added += 1
        return self.added - 1

    def kill(self, node: int) -> None:
        self.tell(f"kill {node}")


@pytest.fixture(scope="module")
def raylets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raylets]:
    """A cluster that asks for the token that is in the home of its drivers."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("a" * 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Raylets()
        yield cluster
        cluster.process.communicate(timeout=60)


@pytest.fixture
def there(tmp_path: Path) -> Runs:
    """Runs that a driver makes on the cluster."""
    return Runs(tmp_path / "there", LocalExecutor)


def begin(
    runs: Runs, raylets: Raylets, trainer: str, grid: dict[str, object]
) -> "subprocess.Popen[str]":
    return start(runs, raylets.address, trainer, json.dumps(grid))


def end(driver: "subprocess.Popen[str]") -> str:
    """What a driver that ends well said last."""
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == 0, err
    return out


def test_each_model_has_parts_of_a_gpu_or_several_or_none(there: Runs, raylets: Raylets) -> None:
    node = raylets.add(4, 2)
    resources = {
        "tiny-a": {"gpus": 0.5},
        "tiny-b": {"gpus": 2},
        "tiny-c": {"gpus": 0, "cpus": 2},
    }
    grid = {"models": [*resources], "schedules": ["cosine"], "resources": resources}

    out = end(begin(there, raylets, TRAINER, grid))

    assert "trials: 6 done;" in out
    assert saw(there) - {"saw-0-of-1-1"} == {
        "saw-0-of-1-0",
        "saw-0-of-2-0",
        "saw-1-of-2-1",
        "saw-0-of-1-",
    }
    threads = {path.name for path in there.checkpoints.glob("threads-*")}
    assert threads == {"threads-1", "threads-2"}
    raylets.kill(node)


def test_a_node_that_comes_is_used_and_what_ran_on_one_that_goes_goes_on_elsewhere(
    there: Runs, here: Runs, raylets: Raylets
) -> None:
    grid = {"samples_seen": [640, 3200, 12800]}
    here.run(plan_of(**grid))
    there.mischief(trunk={"do": "wait"})
    first = raylets.add(1)
    driver = begin(there, raylets, "fake_trainer:train", grid)
    await_line(driver, "running")

    second = raylets.add(1)
    # A cooldown while the trunk occupies the other node.
    await_line(driver, "cooldown-3.2K")
    raylets.kill(first)
    end(driver)

    assert there.results() == here.results()
    trunk = steps(there.directory("trunk"))
    assert trunk.count(512) == trunk.count(2560) == 1
    assert len(trunk) > 10240 // 64
    raylets.kill(second)


def test_a_gang_of_four_on_two_nodes_loses_a_process_and_ends_as_if_it_had_not(
    there: Runs, here: Runs, raylets: Raylets
) -> None:
    grid = {
        "schedules": ["const"],
        "recipes": [{"batch_size": 64, "precision": "fp32", "warmup": "64 samples"}],
        "resources": {"default": {"gpus": 0, "processes": 4}},
    }
    nodes = [raylets.add(2), raylets.add(2)]
    driver = begin(there, raylets, "gang_trainer:learn", grid)
    here.run(plan_of(**grid), "scaling.train:train")

    end(driver)

    assert len({path.name.rpartition("-")[2] for path in there.checkpoints.glob("node-*")}) == 2
    assert (there.checkpoints / "killed").exists()
    trial = there.directory("trunk")
    assert "process 1 of 4: " in (trial / "attempt-1.log").read_text()
    assert [ended for _, ended, _ in attempts(there)] == ["died", "done"]
    assert there.results() == here.results()
    for node in nodes:
        raylets.kill(node)


def test_a_gang_that_lost_a_node_waits_for_another_and_ends_with_its_driver(
    there: Runs, raylets: Raylets
) -> None:
    there.mischief(cosine={"do": "wait"})
    nodes = [raylets.add(1), raylets.add(1)]
    grid = {"schedules": ["cosine"], "samples_seen": [1280], "resources": TWO}
    driver = begin(there, raylets, TRAINER, grid)
    await_line(driver, "running")
    while not saw(there):
        assert driver.poll() is None

    raylets.kill(nodes.pop())
    await_line(driver, "its worker died")
    nodes.append(raylets.add(1))
    await_line(driver, "attempt 2")
    driver.kill()
    driver.communicate()
    # Both nodes are free for the next driver's gang, though nobody was left to remove the first.
    (there.checkpoints / "mischief.json").unlink()
    end(begin(there, raylets, TRAINER, grid))

    assert len(there.results()) == 1280 // 64 + len(METRICS)
    for node in nodes:
        raylets.kill(node)


def test_a_node_where_trial_after_trial_dies_is_left_out(
    there: Runs, here: Runs, raylets: Raylets
) -> None:
    grid = {"schedules": ["cosine"], "samples_seen": [640, 704, 768, 832, 896]}
    here.run(plan_of(**grid))
    there.mischief(cosine={"do": "poison"})
    nodes = [raylets.add(1), raylets.add(1)]
    driver = begin(there, raylets, "fake_trainer:train", grid)

    await_line(driver, "is left out: 3 attempts failed there in a row")
    out = end(driver)

    assert "trials: 5 done;" in out
    assert there.results() == here.results()
    for node in nodes:
        raylets.kill(node)
