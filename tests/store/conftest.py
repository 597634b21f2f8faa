"""A migrated, empty database for each test: an SQLite file, and PostgreSQL if TEST_DATABASE_URL names a server."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text

from store import schema
from store.engine import Database, make_engine
from store.tables import Base
from tests.store.processes import Crew

SERVER = os.environ.get("TEST_DATABASE_URL")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "epochd.db"
    engine = make_engine(f"sqlite:///{path}")
    schema.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A database of its own on the server, so that nothing that is there is touched."""
    assert SERVER is not None
    server, name = make_engine(SERVER), f"epochd_test_{uuid4().hex}"
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        url = make_url(SERVER).set(database=name).render_as_string(hide_password=False)
        engine = make_engine(url)
        schema.upgrade(engine)
        engine.dispose()
        yield url
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"] if SERVER else ["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "epochd.db")
        database = Database(make_engine(f"sqlite:///{tmp_path / 'epochd.db'}"))
        yield database
    else:
        database = Database(make_engine(request.getfixturevalue("postgresql_url")))
        yield database
        with database.write() as session:
            session.execute(text(f"TRUNCATE {', '.join(Base.metadata.tables)}"))
    database.dispose()


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with Crew(8) as crew:
        yield crew
