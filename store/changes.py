"""Learning that something was written, without asking what."""

import sqlite3
from contextlib import closing
from typing import Final

from sqlalchemy import PoolProxiedConnection

from store.engine import Database

VERSION: Final = "PRAGMA data_version"  # another number after each commit of another connection, in some 3 µs


class Changes:
    """Whether anything may have been written since the last time; to be asked by one thread, and closed.

    PostgreSQL has no such number: there it always may.
    """

    def __init__(self, database: Database) -> None:
        self.is_cheap: Final = database.engine.dialect.name == "sqlite"
        self._database = database
        self._connection: PoolProxiedConnection | None = None
        self._version: object = None

    def are_possible(self) -> bool:
        """Return whether something may have been written since the last call; yes at the first, and when in doubt."""
        if not self.is_cheap:
            return True
        before = self._version
        try:
            self._version = self._read()
        except sqlite3.Error:
            return True
        return self._version != before

    def _read(self) -> object:
        if self._connection is None:
            self._connection = self._database.engine.raw_connection()
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(VERSION)
            return cursor.fetchone()

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
