"""What a process makes sure of before it starts to work: that its database answers, and has this version's tables."""

import logging
import math
import time

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
    engine = make_engine(settings.url)
    try:
        _wait_for(engine, settings.start_seconds)
        schema.check(engine)
    finally:
        engine.dispose()  # no connection may be there when a worker forks


def _wait_for(engine: Engine, seconds: float) -> None:
    """Servers that are started together answer in any order; a file is there or not."""
    start, said_at = time.monotonic(), -math.inf
    name = engine.url.render_as_string(hide_password=True)
    while (problem := _problem(engine)) is not None:
        now = time.monotonic()
        if engine.dialect.name == "sqlite" or now - start >= seconds:
            raise DatabaseUnreachable(
                f"The database {name} does not answer: {problem}. Start it, or name another with EPOCHD_DATABASE_URL."
            )
        if now - said_at >= REMINDER_SECONDS:
            logger.warning("waiting for the database %s: %s", name, problem)
            said_at = now
        time.sleep(PAUSE_SECONDS)


def _problem(engine: Engine) -> str | None:
    """Return why the database does not answer, in a line, or None when it does."""
    try:
        engine.connect().close()
    except OperationalError as problem:
        return str(problem.orig).strip().partition("\n")[0].rstrip(".")
    return None
