"""Which names the service answers to: ASGI middleware against DNS rebinding.

A web page anywhere can have its own name lead to 127.0.0.1, and then read through a visitor's browser what is served
there; but the browser says that name in the Host header. An IP address has no name that could be led elsewhere.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api import problem_kinds as kinds
from api.problems import Problem, answer

_HOST: Final = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::\d{1,5})?")


class TrustedHosts:
    """ASGI middleware that refuses names it was not told of; localhost and IP addresses are always trusted."""

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self.app = app
        self._names = [name.lower() for name in ("localhost", *names)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        if scope["type"] != "http" or self._trusts(host := Headers(scope=scope).get("host", "")):
            await self.app(scope, receive, send)
            return
        detail = f"This service is not known as {host[:100]!r}. EPOCHD_TRUSTED_HOSTS lists the names it answers to."
        refusal = await answer(Request(scope), Problem(kinds.untrusted_host, detail))
        await refusal(scope, receive, send)

    def _trusts(self, host: str) -> bool:
        parts = _HOST.fullmatch(host.lower())
        if parts is None:
            return False
        name = parts["address"] or parts["name"]
        return _is_address(name) or any(fnmatchcase(name, pattern) for pattern in self._names)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
