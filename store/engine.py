"""Engines and transactions for the two databases: SQLite, the embedded default, and PostgreSQL."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from store.errors import DatabaseUnsupported

BUSY_TIMEOUT_SECONDS = 15
BUSY_RETRY_SECONDS = 0.01
CONNECT_TIMEOUT_SECONDS = 10
SILENCE = {  # of a server, after which its host is taken for gone: some 30 s instead of the system's hours
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,  # milliseconds
}
BACKENDS = ("sqlite", "postgresql", "postgres")

# JSON has no NaN: SQLite would store one that no reader takes back, PostgreSQL refuses it. Fail alike, and early.
_to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def make_engine(url: str) -> Engine:
    """Return an engine for an SQLite or PostgreSQL URL; nothing is opened yet.

    SQLite: write-ahead log, synchronous FULL, foreign keys on, 15 s of patience with other writers, and transactions
    that start as writers (BEGIN IMMEDIATE), because one that turns into a writer halfway fails at once when another
    writes. PostgreSQL: psycopg, and a connection that was cut is noticed and replaced before use.
    Raises DatabaseUnsupported for any other.
    """
    parsed = _parsed(url)
    return _sqlite_engine(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql_engine(parsed)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUnsupported(
            "EPOCHD_DATABASE_URL is no address of a database, such as postgresql://user:password@host/name."
        ) from None
    if parsed.get_backend_name() not in BACKENDS:
        raise DatabaseUnsupported(
            f"EPOCHD_DATABASE_URL names a {parsed.get_backend_name()} database; epochd works with postgresql:// and "
            "sqlite:/// databases."
        )
    return parsed


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        json_serializer=_to_json,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
        pool_size=16,
        max_overflow=48,  # one per thread of a web server; a file is cheap to open
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver starts no transaction of its own; _begin_sqlite does
    _use_write_ahead_log(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("lower", 1, _lower, deterministic=True)  # its own knows ASCII only


def _lower(text: str | None) -> str | None:
    return None if text is None else text.casefold()


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to it, which for a new file fails at once while others open it too: SQLite has no patience there."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_RETRY_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _postgresql_engine(url: URL) -> Engine:
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        json_serializer=_to_json,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, **SILENCE},
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=32,
    )


class Database:
    """Transactions on one engine; make one per process, after any fork."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reading = engine.execution_options(reads_only=True)
        # SQLite wakes waiting writers by chance: among many threads the unluckiest waited 1.4 s. A lock queues them.
        self._writing: AbstractContextManager[Any] = (
            threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Run the block as one transaction: committed at its end, rolled back when it raises. Not to be nested."""
        with self._writing, Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Run the block on a session that only reads, and waits for no writer."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()
