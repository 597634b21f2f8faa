"""Pages of lists that stay fast and miss nothing: each begins after the last row of the one before (keyset paging)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Row as SelectedRow
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session

from store.statements import fresh
from store.status import Status
from store.tables import Experiment, Run


class PageKey(NamedTuple):
    """Where a page ordered by creation time ended: the raw parts of a page token."""

    created_at: float
    id: UUID


Row = TypeVar("Row", Experiment, Run)
Key = TypeVar("Key", PageKey, int)
AnyRow = SelectedRow[*tuple[Any, ...]]


@dataclass(frozen=True)
class Page(Generic[Row, Key]):
    """Some rows of a list, and where the next page begins (None: this is the last)."""

    items: list[Row]
    next: Key | None


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; `tag` is a key and its value, `q` a part of the experiment's name, in any case."""

    status: Status | None = None
    variant: str | None = None
    tag: tuple[str, str] | None = None
    q: str | None = None


NO_FILTERS = Filters()


def by_number(session: Session, query: Select[*tuple[Any, ...]], size: int) -> Iterator[Sequence[AnyRow]]:
    """Yield the rows of a query on runs in order of `number`, which it selects: so many at a time, a query for each.

    However many rows there are, only those of a batch are held.
    """
    last, is_full = -1, True
    while is_full:
        batch = session.execute(query.where(Run.number > last).order_by(Run.number).limit(size)).all()
        is_full = len(batch) == size
        if batch:
            yield batch
            last = batch[-1].number


def read_page(
    session: Session,
    query: Select[Row],
    row: type[Row],
    *,
    limit: int,
    after: PageKey | None,
    newest_first: bool,
) -> Page[Row, PageKey]:
    """Return up to `limit` rows of the query after `after`, ordered by creation time and id.

    A walk from page to page sees each row once; rows made meanwhile come on later pages or, newest first, not at all.
    """
    columns = (row.created_at, row.id)
    position = tuple_(*columns)
    if after is not None:
        # A row value, not `a < x OR (a = x AND b < y)`: databases turn only the former into one range of the index.
        query = query.where(position < tuple(after) if newest_first else position > tuple(after))
    order = [column.desc() if newest_first else column.asc() for column in columns]
    rows = fresh(session, query.order_by(*order).limit(limit + 1))
    return Page(rows[:limit], _key_of_last(rows, limit))


def _key_of_last(rows: Sequence[Row], limit: int) -> PageKey | None:
    if len(rows) <= limit:
        return None
    return PageKey(rows[limit - 1].created_at, rows[limit - 1].id)
