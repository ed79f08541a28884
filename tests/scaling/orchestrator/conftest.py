import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_plans import Runs

from scaling.orchestrator import LocalExecutor, RayExecutor


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A cluster with two CPUs that all tests share; executors leave it standing."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        # For the workers, which import the fake trainer by its name.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=80 * 2**20,
            log_to_driver=False,
        )
        yield
        ray.shutdown()


@pytest.fixture
def here(tmp_path: Path) -> Runs:
    """Runs in this process."""
    return Runs(tmp_path / "here", LocalExecutor)


@pytest.fixture
def on_ray(tmp_path: Path, ray_cluster: None) -> Runs:
    """Runs on the cluster of all tests."""
    return Runs(tmp_path / "ray", RayExecutor)


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.ray)])
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Runs:
    """Runs with either executor: what holds for one holds for both."""
    if request.param == "local":
        return Runs(tmp_path, LocalExecutor)
    request.getfixturevalue("ray_cluster")
    return Runs(tmp_path, RayExecutor)
