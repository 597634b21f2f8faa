"""Server-sent events of an experiment, for as long as the client listens and the experiment goes on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Final

from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api.feed import Batch, Cursor, Feed, deleted
from api.head import IS_HEAD
from api.poller import Poller, Watch
from store.errors import NotFound

MEDIA_TYPE: Final = "text/event-stream"
RECONNECT_AFTER: Final = b"retry: 1000\n"
"""Milliseconds; a part of the first message."""
HEARTBEAT: Final = b":\n\n"
"""A comment: it tells proxies and the client that the connection lives, and this side when it does not."""
HEARTBEAT_SECONDS: Final = 15.0
AWAY_SECONDS: Final = 1.0

log = logging.getLogger("epochd.api")


class EventStream(StreamingResponse):
    """Sends what happens. What is new is read when the client has taken what came before, so none piles up here.

    A client that leaves ends it; so does the end of the experiment, its deletion, and the end of the service: then
    there is no `end`, and the client comes back with its last id.
    """

    media_type = MEDIA_TYPE

    def __init__(self, feed: Feed, poller: Poller, first: Batch) -> None:
        self._feed = feed
        self._poller = poller
        self._first = first
        super().__init__(_nothing(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        with self._poller.watch(self._feed.experiment_id) as watch:
            self.body_iterator = _nothing() if IS_HEAD in scope else self._pieces(watch)
            await super().__call__(scope, receive, send)

    async def _pieces(self, watch: Watch) -> AsyncIterator[bytes]:
        batch, told, lead = self._first, None, RECONNECT_AFTER
        while not watch.is_stopping:
            if said := list(_said(batch, told)):
                yield lead + b"".join(said)
                told, lead = batch.cursor, b""
            if batch.end is not None:
                return
            while batch.progress is not None and not await watch.changed(HEARTBEAT_SECONDS):
                yield HEARTBEAT
            try:
                batch = await self._next(batch)
            except NotFound:
                yield deleted(batch.cursor).encode()
                return

    async def _next(self, batch: Batch) -> Batch:
        """Read what comes after a batch; a database that is away is waited for."""
        while True:
            try:
                return await run_in_threadpool(self._feed.read, batch.cursor)
            except SQLAlchemyError as problem:
                log.warning("the database did not answer a stream: %s", problem)
                await asyncio.sleep(AWAY_SECONDS)


def _said(batch: Batch, told: Cursor | None) -> Iterator[bytes]:
    """Encode the messages of a batch; how the experiment stands only when it stands otherwise than last told."""
    yield from (message.encode() for message in batch.messages)
    if batch.progress is not None and batch.cursor != told:
        yield batch.progress.encode()
    if batch.end is not None:
        yield batch.end.encode()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
