"""What our ASGI middlewares share."""

from collections.abc import Callable

from starlette.types import Message, Send


def at_start(send: Send, do: Callable[[Message], object]) -> Send:
    """Send as `send` does, and let `do` see, or change, the message that an answer begins with: status and headers."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            do(message)
        await send(message)

    return sending
