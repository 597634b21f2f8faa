"""Executing statements without the session's memory of earlier rows getting in between.

Those of every job are made once, with parameters: to make one takes up to fifty times as long as to execute it.
"""

from collections.abc import Mapping
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import CursorResult, Delete, Insert, Result, Select, Update
from sqlalchemy.orm import Session

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def change(
    session: Session, statement: Insert | Update | Delete, parameters: Mapping[str, object] | None = None
) -> CursorResult[Any]:
    """Execute a change on the rows alone; objects that the session holds are renewed when next read."""
    return session.connection().execute(statement, parameters)


def rows(session: Session, query: Select[*Ts], parameters: Mapping[str, object] | None = None) -> Result[*Ts]:
    """Execute a query for columns, past the session, whose part costs more than the database's."""
    return session.connection().execute(query, parameters)


def fresh(session: Session, query: Select[T], parameters: Mapping[str, object] | None = None) -> list[T]:
    """Return the query's objects as the database has them now, even those the session has read before."""
    return list(session.scalars(query, parameters, execution_options={"populate_existing": True}))
