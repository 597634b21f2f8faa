"""Executing statements without the session's memory of earlier rows getting in between, and values fit to be stored."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import CursorResult, Delete, Result, Select, Update
from sqlalchemy.orm import Session

T = TypeVar("T")


def change(session: Session, statement: Update | Delete) -> Result[Any]:
    """Execute an UPDATE or DELETE on the rows alone; objects that the session holds are renewed when next read."""
    return session.execute(statement, execution_options={"synchronize_session": False})


def count_changed(session: Session, statement: Update | Delete) -> int:
    """Execute an UPDATE or DELETE as `change` does; return how many rows it changed."""
    result = change(session, statement)
    return result.rowcount if isinstance(result, CursorResult) else 0


def fresh(session: Session, query: Select[T], parameters: Mapping[str, object] | None = None) -> list[T]:
    """Return the query's objects as the database has them now, even those the session has read before."""
    return list(session.scalars(query, parameters, execution_options={"populate_existing": True}))


def finite(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Return the JSON value with null where a number is NaN or infinite, which JSON cannot say."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
