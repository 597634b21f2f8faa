"""Signed in with a browser: the key in a cookie that no script reads and no page of another site sends along."""

from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

PATH: Final = "/v1/session"
COOKIE: Final = "epochd_key"
SENT_TO: Final = "/v1"
"""Only there is a key asked for. Browsers send a host's cookies to all of its ports, so the path keeps it from most."""


def key_in(scope: Scope) -> str | None:
    """The key that a browser sends by itself."""
    return HTTPConnection(scope).cookies.get(COOKIE)


def open_with(key: str, *, is_encrypted: bool) -> Response:
    """Answer that has a browser send this key from now on until it is closed; over TLS never without it."""
    answer = Response(status_code=204)
    answer.set_cookie(COOKIE, key, path=SENT_TO, httponly=True, samesite="strict", secure=is_encrypted)
    return answer


def close() -> Response:
    """Answer that has a browser forget the key."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path=SENT_TO, httponly=True, samesite="strict")
    return answer
