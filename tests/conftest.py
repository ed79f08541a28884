"""What every test shares: the same drawn examples in every run, and a cache of its own."""

from collections.abc import Iterator

import postgres_server
import pytest
from hypothesis import Phase, settings
from postgres_server import Server

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    # Explaining a failure takes many times as long as finding and shrinking it.
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes of shards go where the tests write, not to the home of whoever runs them."""
    monkeypatch.setenv("SCALING_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for all tests; each makes a place of its own in it."""
    if reason := postgres_server.why_not():
        pytest.skip(reason)
    with postgres_server.server() as server:
        yield server
