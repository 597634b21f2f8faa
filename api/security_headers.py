"""What browsers are told about every answer, so that no page elsewhere can embed, sniff or script it."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware import at_start

HEADERS: Final = {  # answers load nothing: pages and drawings bring their own styles and images
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'",
}
DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'"
)
"""For /docs, whose page has a script in it; nothing that anybody submitted is."""


class SecurityHeaders:
    """ASGI middleware that adds the headers; an answer that has one of its own keeps that."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        def complete(message: Message) -> None:
            headers = MutableHeaders(scope=message)
            if scope["path"] == "/docs":
                headers.setdefault("Content-Security-Policy", DOCS_POLICY)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)

        await self.app(scope, receive, at_start(send, complete))
