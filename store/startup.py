"""What a process makes sure of before it starts to work: that its database answers, and has this version's tables."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from store import schema
from store.engine import make_engine
from store.errors import DatabaseUnreachable
from store.settings import StoreSettings

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
REMINDER_SECONDS = 10.0  # how often it is said that the database is waited for


def require_database(settings: StoreSettings) -> None:
    """Wait for the settings' database, at most `start_seconds`; raises DatabaseUnreachable, and SchemaOutdated."""
    with _answering(settings) as engine:
        schema.check(engine)


def migrate(settings: StoreSettings) -> None:
    """Wait for the settings' database and give it this version's tables; raises DatabaseUnreachable."""
    with _answering(_made(settings)) as engine:
        schema.upgrade(engine)


def prepare(settings: StoreSettings) -> None:
    """Wait for the settings' database, make its tables where there are none yet, and migrate the embedded one.

    Any other is its keeper's to migrate, at a time of theirs: raises SchemaOutdated until that is done, and
    DatabaseUnreachable.
    """
    with _answering(_made(settings)) as engine:
        if settings.database_url is None or not schema.versions(engine):
            schema.upgrade(engine)
        schema.check(engine)


def _made(settings: StoreSettings) -> StoreSettings:
    """Make the folder of the embedded database, and its file where there is none, which nobody else may read.

    Raises DatabaseUnreachable where that cannot be.
    """
    if settings.database_url is None:
        try:
            settings.data.mkdir(parents=True, exist_ok=True)
            settings.file.touch(mode=0o600)  # SQLite's other files take after it
        except OSError as problem:
            raise DatabaseUnreachable(
                f"The database {settings.file} cannot be made: {problem.strerror}. Name another folder with "
                "EPOCHD_DATA."
            ) from None
    return settings


@contextmanager
def _answering(settings: StoreSettings) -> Iterator[Engine]:
    engine = make_engine(settings.url)
    try:
        _wait_for(engine, settings)
        yield engine
    finally:
        engine.dispose()  # no connection may be there when a worker forks


def _wait_for(engine: Engine, settings: StoreSettings) -> None:
    """Servers that are started together answer in any order; a file is there or not."""
    start, said_at = time.monotonic(), -math.inf
    name = engine.url.render_as_string(hide_password=True)
    while (problem := _problem(engine)) is not None:
        now = time.monotonic()
        if engine.dialect.name == "sqlite" or now - start >= settings.start_seconds:
            raise DatabaseUnreachable(f"The database {name} does not answer: {problem}. {_way_out(engine, settings)}")
        if now - said_at >= REMINDER_SECONDS:
            logger.warning("waiting for the database %s: %s", name, problem)
            said_at = now
        time.sleep(PAUSE_SECONDS)


def _way_out(engine: Engine, settings: StoreSettings) -> str:
    if settings.database_url is None:
        return "Make it with `python -m store.schema`, or name another folder with EPOCHD_DATA."
    if engine.dialect.name == "sqlite":
        return "Make its folder, or name another with EPOCHD_DATABASE_URL."
    return "Start it, or name another with EPOCHD_DATABASE_URL."


def _problem(engine: Engine) -> str | None:
    """Return why the database does not answer, in a line, or None when it does."""
    try:
        engine.connect().close()
    except OperationalError as problem:
        return str(problem.orig).strip().partition("\n")[0].rstrip(".")
    return None
