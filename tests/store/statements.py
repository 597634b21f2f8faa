"""How many statements the database is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from store.engine import Database

Statements = list[str]


@contextmanager
def counting(database: Database) -> Iterator[Statements]:
    """Yield a list to which every statement is added that the database is sent meanwhile."""
    statements: Statements = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
