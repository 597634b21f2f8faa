"""What all tests share: a sample of the data set, and the servers they run against."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from alembic import command
from sqlalchemy import make_url

from store import schema
from store.engine import make_engine
from tests.servers import (
    Server,
    ServerMissing,
    fresh_database,
    postgresql_server,
    postgresql_url,
    redis_server,
    redis_urls,
)

T = TypeVar("T")


@pytest.fixture(scope="session")
def sample_root() -> Path:
    """The data folder with a small real sample of Fashion-MNIST: 1,000 training and 500 test images."""
    return Path(__file__).parent / "fashion_mnist_sample"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to be copied: that is faster than making them."""
    path = tmp_path_factory.mktemp("template") / "epochd.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    with needed(postgresql_url()) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> Iterator[str]:
    """The name of a PostgreSQL database with all tables, to be copied."""
    with fresh_database(postgresql) as url:
        migrate(url)
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def redis() -> Iterator[Iterator[str]]:
    """URLs of Redis databases, to be taken with `next`."""
    with needed(redis_urls()) as urls:
        yield urls


@pytest.fixture(scope="session")
def mortal_postgresql() -> Iterator[Server]:
    """A PostgreSQL server that tests may end, if they start it again."""
    with needed(postgresql_server()) as server:
        yield server


@pytest.fixture(scope="session")
def mortal_redis() -> Iterator[Server]:
    """A Redis server that tests may kill and freeze, if they start it again and thaw it."""
    with needed(redis_server()) as server:
        yield server


@contextmanager
def needed(server: AbstractContextManager[T]) -> Iterator[T]:
    """Run a server for the tests; where there is none they are skipped, but where CI=true they fail."""
    try:
        with server as found:
            yield found
    except ServerMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


def migrate(url: str, revision: str = "head") -> None:
    """Make the tables in a database, as they are now or were once."""
    engine = make_engine(url)
    with engine.begin() as connection:
        command.upgrade(schema.migrations_config(connection), revision)
    engine.dispose()
