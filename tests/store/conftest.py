"""A migrated, empty database for each test: an SQLite file, and a PostgreSQL database."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from store.base import Base
from store.engine import Database, make_engine
from tests.servers import fresh_database
from tests.store.processes import Crew


@pytest.fixture(scope="session")
def postgresql_database(postgresql: str, postgresql_template: str) -> Iterator[str]:
    """One database for all tests: emptying it takes less time than making another."""
    with fresh_database(postgresql, postgresql_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "epochd.db")
        database = Database(make_engine(f"sqlite:///{tmp_path / 'epochd.db'}"))
        yield database
    else:
        database = Database(make_engine(request.getfixturevalue("postgresql_database")))
        yield database
        with database.write() as session:
            session.execute(text(f"TRUNCATE {', '.join(Base.metadata.tables)}"))
    database.dispose()


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with Crew(8) as crew:
        yield crew
