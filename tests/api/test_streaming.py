"""Answers that are sent while they are made: in fitting pieces, and holding nothing for whoever is slow or gone."""

import asyncio
from collections.abc import Generator
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from api import streaming, summaries, sweep_curves
from api.head import HeadAsGet
from api.schemas.sweeps import ExperimentCurveQuery, SummaryQuery
from store import experiments
from tests.api.service import Service
from tests.api.sweeps import sweep


def test_a_client_that_leaves_frees_what_it_read_from() -> None:
    closed = []

    def pieces() -> Any:
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.append(True)

    async def send(message: Any) -> None:
        if message.get("body"):
            raise OSError("gone")

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def leave() -> None:
        answer = streaming.Stream(streaming.chunks(pieces()), "text/csv", {})
        scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.4"}}
        with pytest.raises(ClientDisconnect):
            await answer(scope, receive, send)

    asyncio.run(leave())
    assert closed


def test_a_head_makes_one_piece_only() -> None:
    made: list[int] = []

    def pieces() -> Generator[bytes, None, None]:
        for number in range(100):
            made.append(number)
            yield b"x"

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await streaming.Stream(pieces(), "text/csv", {"ETag": "w"})(scope, receive, send)

    scope = {"type": "http", "method": "HEAD", "asgi": {"spec_version": "2.4"}}
    asyncio.run(HeadAsGet(app)(scope, receive, send))
    start, *bodies = sent
    assert (start["status"], dict(start["headers"])[b"etag"]) == (200, b"w")
    assert b"".join(body["body"] for body in bodies) == b""
    assert not bodies[-1]["more_body"]
    assert made == [0]


def test_a_slow_client_holds_no_transaction(service: Service) -> None:
    experiment = sweep(service)
    with service.database.read() as session:
        row = experiments.get(session, UUID(experiment["id"]))
    runs = sweep_curves.Asked(service.database, row, ExperimentCurveQuery()).read()
    configurations = summaries.Asked(service.database, row, SummaryQuery()).read()
    for rows in (runs, configurations):
        next(rows)
        assert service.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        assert len(list(rows)) in (11, 3)


def test_bytes_are_sent_in_pieces_of_a_fitting_size() -> None:
    parts = [b"a" * 10] * 100
    pieces = list(streaming.chunks(parts, least=95))
    assert b"".join(pieces) == b"".join(parts)
    assert {len(piece) for piece in pieces} == {100}
    assert list(streaming.chunks([])) == []
