"""HEAD wherever there is GET (RFC 9110, 9.3.2), which FastAPI's routes leave out."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

IS_HEAD = "epochd.head"
"""In the scope of a GET that was a HEAD, for answers whose body takes long to make."""


class HeadAsGet:
    """ASGI middleware that answers HEAD as GET, and leaves the body away."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_bare(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        # A copy: the server goes by the method it received.
        await self.app({**scope, "method": "GET", IS_HEAD: True}, receive, send_bare)
