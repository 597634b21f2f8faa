"""CSV, written a block of rows at a time: what a long table is made of is numbers, and these come in arrays."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from api import labels
from api.curves import encode

Column = npt.NDArray[np.float64] | npt.NDArray[np.int64]
Cell = object

END = b"\r\n"  # RFC 4180


def row(cells: Iterable[Cell]) -> bytes:
    """One line; an empty cell for None and for numbers that are not finite."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow([cell(one) for one in cells])
    return text.getvalue().encode()


def cell(value: Cell) -> Cell:
    """What a table shows of a value: lists and objects in words, nothing for NaN and infinity."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return labels.value(value) if isinstance(value, list | dict) else value


def block(head: Sequence[Cell], columns: Sequence[Column | None]) -> bytes:
    """One line per row of the columns (n,), each with the cells of `head` before it; None is an empty column.

    The last of the columns is not None.
    """
    lengths = {len(column) for column in columns if column is not None}
    nothing = [None] * max(lengths)
    rows = list(zip(*(nothing if column is None else column.tolist() for column in columns), strict=True))
    if not rows:
        return b""
    # Numbers look the same in JSON and in CSV, and its writer is several times as fast as the csv module's.
    before = row([*head, ""]).removesuffix(END) if head else b""
    body = encode(rows)[2:-2].replace(b"null", b"")
    return before + body.replace(b"],[", END + before) + END
