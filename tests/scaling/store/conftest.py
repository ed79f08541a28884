from collections.abc import Iterator
from pathlib import Path

import pytest
from store_plans import plan_of

from scaling.plan import Plan
from scaling.store import Store


@pytest.fixture
def plan() -> Plan:
    return plan_of()


@pytest.fixture
def store(tmp_path: Path, plan: Plan) -> Iterator[Store]:
    """A store that knows `plan`."""
    with Store(tmp_path / "results.db") as store:
        store.record_plan(plan)
        yield store
