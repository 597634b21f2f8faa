import json
import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, settings
from hypothesis import given as holds_for
from hypothesis import strategies as st
from sqlalchemy import JSON, Integer, String, Uuid, delete, select
from sqlalchemy.types import TypeEngine

from store.bulk import ROWS_PER_STATEMENT, given, given_table, insert_columns
from store.engine import Database
from store.statements import change
from store.tables import Worker

printable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.floats(allow_nan=True, allow_infinity=True)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | printable,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(printable, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(printable, json_values, max_size=3)
rows = st.tuples(st.uuids(), st.none() | printable, st.none() | st.integers(-(2**31), 2**31 - 1), objects)
NOT_A_NUMBER = {"NaN": None, "Infinity": None, "-Infinity": None}
SAME_DATABASE = [HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("length", [1, 2, ROWS_PER_STATEMENT, ROWS_PER_STATEMENT + 1, 2 * ROWS_PER_STATEMENT + 50])
def test_columns_become_rows_in_their_order(database: Database, length: int) -> None:
    shared = {"hostname": "host", "queues": ["cpu", "gpu"], "device": "cpu", "started_at": 1.5}
    columns: dict[str, Any] = {
        "name": [f"slot-{number}" for number in range(length)],
        "pid": range(length),
        "threads": [number * 2**15 for number in range(length)],  # PostgreSQL is sent integers of several sizes
        "heartbeat_at": [number / 3 for number in range(length)],
    }
    with database.write() as session:
        insert_columns(session, Worker, shared, columns)
    with database.read() as session:
        stored = list(session.scalars(select(Worker).order_by(Worker.pid)))
    assert [{name: getattr(row, name) for name in (*shared, *columns)} for row in stored] == [
        shared | {name: values[number] for name, values in columns.items()} for number in range(length)
    ]


def test_columns_of_unequal_length_are_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="zip"), database.write() as session:
        insert_columns(session, Worker, {}, {"name": ["a", "b"], "pid": [1]})


@settings(max_examples=50, deadline=None, suppress_health_check=SAME_DATABASE)
@holds_for(given_rows=st.lists(rows, max_size=5))
@example(given_rows=[(UUID(int=number), "x", number, {"loss": math.nan}) for number in range(300)])
def test_rows_become_a_table_with_null_for_what_is_not_finite(
    database: Database, given_rows: list[tuple[UUID, str | None, int | None, dict[str, Any]]]
) -> None:
    types: dict[str, TypeEngine[Any]] = {"id": Uuid(), "text": String(), "number": Integer(), "json": JSON()}
    with database.read() as session:
        found = session.execute(select(given_table(types)), given(given_rows)).all()
    assert [tuple(row) for row in found] == [
        (*row[:3], json.loads(json.dumps(row[3]), parse_constant=NOT_A_NUMBER.get)) for row in given_rows
    ]


def test_a_table_of_rows_takes_part_in_any_statement(database: Database) -> None:
    with database.write() as session:
        shared = {"hostname": "host", "queues": [], "device": "", "threads": 1, "started_at": 0.0, "heartbeat_at": 0.0}
        insert_columns(session, Worker, shared, {"name": ["a", "b", "c"], "pid": [1, 2, 3]})
        gone = select(given_table({"name": String()}).c.name)
        change(session, delete(Worker).where(Worker.name.in_(gone)), given([["a"], ["c"], ["z"]]))
        assert list(session.scalars(select(Worker.name))) == ["b"]
