"""Answers that are sent while they are made, so that their size is no matter."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain
from typing import TypeVar

from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session
from starlette.concurrency import iterate_in_threadpool
from starlette.types import Receive, Scope, Send

from api.head import IS_HEAD

Row = TypeVar("Row")


class Stream(StreamingResponse):
    """Sends what a generator yields, and closes it however the answer ends: a client that leaves frees its session.

    The first piece is made before the answer begins, so that what goes wrong at once can still be a problem document.
    For a HEAD it is the only one.
    """

    def __init__(self, pieces: Generator[bytes, None, None], media_type: str, headers: Mapping[str, str]) -> None:
        self._pieces = pieces
        super().__init__(chain([next(pieces, b"")], pieces), media_type=media_type, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        if IS_HEAD in scope:
            self.body_iterator = iterate_in_threadpool(())
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()  # here and not in a thread: nothing may be awaited once the request is cancelled


def released(session: Session, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of a query that comes in batches, no transaction being open while one is looked at.

    A client may take as long as it likes over a piece: a snapshot held so long would keep SQLite's log growing.
    """
    for row in rows:
        session.rollback()
        yield row


def chunks(parts: Iterable[bytes], least: int = 256 * 1024) -> Generator[bytes, None, None]:
    """The same bytes in pieces large enough to be worth sending one by one."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= least:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
