"""Tables that a csv reader reads back as what they were made of."""

import csv
import io
import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from api import tables

NUMBERS = st.floats() | st.sampled_from([math.nan, math.inf, 0.0, -0.0, 5e-324, 1e22, 123456789012345680.0])
CELLS = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)


def read(table: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.decode(), newline=""), strict=True))


@given(head=st.lists(CELLS, max_size=3), values=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_a_block_is_what_the_csv_module_would_write(head: list[Any], values: list[tuple[float, float]]) -> None:
    first, second = (np.array(column) for column in zip(*values, strict=True))
    epochs = np.arange(1, len(values) + 1)
    found = read(tables.block(head, [epochs, first, None, second]))
    assert len(found) == len(values)
    for epoch, (row, numbers) in enumerate(zip(found, values, strict=True), 1):
        assert row[: len(head)] == ["" if one is None else str(one) for one in head]
        assert (row[len(head)], row[len(head) + 2]) == (str(epoch), "")
        for text, number in zip((row[len(head) + 1], row[len(head) + 3]), numbers, strict=True):
            assert (float(text) == number) if math.isfinite(number) else text == ""


def test_no_rows_are_no_lines() -> None:
    assert tables.block(["a"], [np.empty(0), None]) == b""


def test_lists_and_objects_are_said_in_words() -> None:
    assert read(tables.row([[256, 64], {"scheme": "normal", "std": 0.1}, "a,b", None, math.nan])) == [
        ["256-64", "normal 0.1", "a,b", "", ""]
    ]
