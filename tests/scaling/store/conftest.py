from collections.abc import Iterator
from pathlib import Path

import pytest
from store_plans import plan_of

from scaling.database import Database
from scaling.plan import Plan
from scaling.store import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Where a store can be: what is tested of stores holds for every kind of database."""
    if request.param == "sqlite":
        return tmp_path / "results.db"
    place: Database = request.getfixturevalue("postgres").place()
    return place


@pytest.fixture
def plan() -> Plan:
    return plan_of()


@pytest.fixture
def store(db: Database, plan: Plan) -> Iterator[Store]:
    """A store that knows `plan`."""
    with Store(db) as store:
        store.record_plan(plan)
        yield store
