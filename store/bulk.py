"""Many rows in few statements: inserting them, and handing them to a statement as a table that it joins.

What SQLAlchemy does for each row of an `executemany` costs several times what the database does; here values are bound
by the column, or all at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import CTE, Cast, Dialect, Text, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from store.base import Base

ROWS_PER_STATEMENT = 100


def insert_columns(
    session: Session, table: type[Base], shared: Mapping[str, object], columns: Mapping[str, Sequence[Any]]
) -> None:
    """Insert rows: the columns' values side by side, and the shared ones in each of them.

    The columns are equally long. Defaults are not filled in: a column of the table that is not named is NULL.
    """
    connection = session.connection()
    dialect = connection.dialect
    first = [_bound(table, name, [value], dialect)[0] for name, value in shared.items()]
    rows = zip(*(_bound(table, name, values, dialect) for name, values in columns.items()), strict=True)
    pages: dict[int, list[Any]] = {}  # by their number of rows: whole ones, and perhaps a shorter one at the end
    while page := tuple(islice(rows, ROWS_PER_STATEMENT)):
        pages.setdefault(len(page), []).append((*first, *chain.from_iterable(page)))
    for length, parameters in pages.items():
        statement, names = _insertion(table, dialect, tuple(shared), tuple(columns), length)
        named = [dict(zip(names, values, strict=True)) for values in parameters] if names else parameters
        connection.exec_driver_sql(statement, named)


def _bound(table: type[Base], name: str, values: Sequence[Any], dialect: Dialect) -> Sequence[Any]:
    bind = table.__table__.c[name].type.dialect_impl(dialect).bind_processor(dialect)
    return values if bind is None else [bind(value) for value in values]


@lru_cache
def _insertion(
    table: type[Base], dialect: Dialect, shared: tuple[str, ...], columns: tuple[str, ...], rows: int
) -> tuple[str, tuple[str, ...]]:
    """Return the statement for so many rows, and its parameters' names where the driver wants them by name."""
    total = len(shared) + len(columns) * rows
    names = tuple(f"p{number}" for number in range(total)) if dialect.name == "postgresql" else ()
    marks = [f"%({name})s" for name in names] or [f"?{number}" for number in range(1, total + 1)]
    first = marks[: len(shared)]  # a parameter may stand in many places
    starts = range(len(shared), total, len(columns))
    values = ", ".join(f"({', '.join([*first, *marks[start : start + len(columns)]])})" for start in starts)
    quoted = ", ".join(map(dialect.identifier_preparer.quote, (*shared, *columns)))
    return f"INSERT INTO {table.__tablename__} ({quoted}) VALUES {values}", names  # noqa: S608  names of ours


class _Listed(FunctionElement[Any]):
    """The elements of a JSON list as rows."""

    name = "listed"
    inherit_cache = True


@compiles(_Listed, "sqlite")
def _listed_by_sqlite(element: _Listed, compiler: SQLCompiler, **options: object) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Listed, "postgresql")
def _listed_by_postgresql(element: _Listed, compiler: SQLCompiler, **options: object) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


class _Typed(Cast[Any]):
    """A text out of JSON as a value of a type."""

    inherit_cache = True


@compiles(_Typed, "sqlite")
def _typed_by_sqlite(element: _Typed, compiler: SQLCompiler, **options: object) -> str:
    # Its values are what they are, and its CAST to a type it does not know, like JSON, is one to a number.
    return compiler.process(element.clause, **options)


def given_table(types: Mapping[str, TypeEngine[Any]]) -> CTE:
    """Return a table whose columns have these names and types, for statements to join; `given` brings its rows."""
    row = _Listed(bindparam("given_rows", type_=Text())).table_valued("value").c.value
    parts = [_Typed(row.op("->>")(place), kind).label(name) for place, (name, kind) in enumerate(types.items())]
    # Materialized, so that SQLite makes an index of it where it joins it from the inside.
    return select(*parts).cte("given").prefix_with("MATERIALIZED")


def given(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Return the parameter that brings a statement's `given_table` its rows, however many they are.

    They travel as one JSON text, in which numbers that are not finite are null.
    """
    plain = [[value.hex if isinstance(value, UUID) else value for value in row] for row in rows]
    return {"given_rows": to_json(plain, inf_nan_mode="null").decode()}  # five times as fast as Python's own
