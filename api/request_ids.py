"""One id per request: taken from X-Request-ID or made here, sent back, and in every problem and log line.

What it submits carries it on: whoever trains that has it in every log line too.
"""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware import at_start
from worker.logs import log_context

HEADER = "X-Request-ID"
KEY = "request_id"
PROBES = ("/healthz", "/readyz", "/metrics")
"""Asked every few seconds by whoever watches the service, and of no interest in its log."""

log = logging.getLogger("epochd.api")
_fit = re.compile(r"[A-Za-z0-9._~+/=:-]{1,128}")


def request_id(scope: Scope) -> str:
    """The id of the request being answered; a new one before the middleware has given it one."""
    known: str = scope.setdefault("state", {}).setdefault(KEY, uuid.uuid4().hex)
    return known


class RequestIds:
    """ASGI middleware that names every request and logs one line when it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        known_as = given if _fit.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})[KEY] = known_as
        with log_context(request_id=known_as):
            await self._answer(scope, receive, send, known_as)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, known_as: str) -> None:
        started, status = time.perf_counter(), 500

        def name(message: Message) -> None:
            nonlocal status
            status = message["status"]
            MutableHeaders(scope=message)[HEADER] = known_as

        try:
            await self.app(scope, receive, at_start(send, name))
        finally:
            _log(scope, status, 1000 * (time.perf_counter() - started))


def _log(scope: Scope, status: int, milliseconds: float) -> None:
    said = {"method": scope["method"], "path": scope["path"], "status": status, "milliseconds": round(milliseconds, 1)}
    level = logging.DEBUG if scope["path"] in PROBES else logging.INFO
    log.log(level, "%s %s %d %.1f ms", *said.values(), extra={"fields": said})
