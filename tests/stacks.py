"""The two stacks that the service runs on: everything in its data folder, or PostgreSQL and Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.servers import fresh_database
from worker.settings import WorkerSettings

STACKS: Final = ("embedded", "servers")


@dataclass(frozen=True)
class Stack:
    """Where a service keeps its data, and where its hints travel; None: in its data folder."""

    database_url: str | None = None
    broker_url: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What tells a service's processes so."""
        urls = {"EPOCHD_DATABASE_URL": self.database_url, "EPOCHD_BROKER_URL": self.broker_url}
        return {name: url for name, url in urls.items() if url is not None}

    def settings(self, data: Path) -> WorkerSettings:
        """The settings of a worker with this data folder."""
        return WorkerSettings(data=data, database_url=self.database_url, broker_url=self.broker_url)


EMBEDDED: Final = Stack()


@contextmanager
def stack_of(request: pytest.FixtureRequest, name: str) -> Iterator[Stack]:
    """Yield a stack of one's own; the database of the servers has its tables, and is dropped afterwards."""
    if name == "embedded":
        yield EMBEDDED
        return
    server, template = request.getfixturevalue("postgresql"), request.getfixturevalue("postgresql_template")
    with fresh_database(server, template) as url:
        yield Stack(url, next(request.getfixturevalue("redis")))
