"""An API on a real SQLite file made by the migrations, and training results written through the store."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.settings import ApiSettings
from store import schema
from store.base import Base
from store.engine import Database, make_engine
from tests.api.service import Service, client_of


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ApiSettings:
    """Settings of an API whose database has all tables."""
    settings = ApiSettings(data=tmp_path_factory.mktemp("data"))
    engine = make_engine(settings.url)
    schema.upgrade(engine)
    engine.dispose()
    return settings


@pytest.fixture(scope="session")
def running(settings: ApiSettings) -> Iterator[TestClient]:
    """One API for all tests."""
    with client_of(settings) as client:
        yield client


@pytest.fixture(scope="session")
def shared(settings: ApiSettings) -> Iterator[Database]:
    """The tests' own connections to what the API reads."""
    database = Database(make_engine(settings.url))
    yield database
    database.dispose()


@pytest.fixture
def database(shared: Database) -> Database:
    """The database, without rows."""
    with shared.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    return shared


@pytest.fixture
def client(running: TestClient, database: Database) -> TestClient:
    return running


@pytest.fixture
def service(client: TestClient, database: Database) -> Service:
    return Service(client, database)
