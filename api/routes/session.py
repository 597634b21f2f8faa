"""Signing in and out with a browser."""

from fastapi import APIRouter, Request, Response

from api import sessions
from api.callers import key_of
from api.dependencies import CallerOf
from api.responses import Responses
from api.strict_json import StrictRoute

router = APIRouter(prefix="/v1", tags=["service"], route_class=StrictRoute)

_COOKIE: Responses = {204: {"headers": {"Set-Cookie": {"schema": {"type": "string"}}}}}


@router.post("/session", status_code=204, responses=_COOKIE)
def sign_in(request: Request, caller: CallerOf) -> Response:
    """Put the key of the `Authorization` header into a cookie: pages, images and event streams can send no header.

    The cookie lasts until the browser is closed, or the key is revoked. A request that changes something and comes
    with the cookie alone has to be sent by a page of this service (`Origin`). While the service asks for no keys,
    there is nothing to sign in to, and no cookie.
    """
    key = key_of(request.scope)
    if key is None or caller.is_anybody:
        return Response(status_code=204)
    return sessions.open_with(key, is_encrypted=request.url.scheme == "https")


@router.delete("/session", status_code=204, responses=_COOKIE)
def sign_out() -> Response:
    """Take the cookie away, whatever it is worth. The key stays good: `epochd keys revoke` ends it."""
    return sessions.close()
