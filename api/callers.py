"""Who calls, by their API key: ASGI middleware in front of everything under /v1, before a body is read.

While no key was ever made, whoever is on this machine may do everything, and nobody else anything.
"""

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote_plus
from uuid import UUID

from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api import problem_kinds as kinds
from api import problems, sessions
from api.problems import Problem
from store import keys

PROTECTED: Final = "/v1/"
CHALLENGE: Final = 'Bearer realm="epochd"'
READING_METHODS: Final = ("GET", "HEAD", "OPTIONS")
READING_POSTS: Final = ("/v1/compare", "/predictions", sessions.PATH)
"""Ends of paths whose POST changes nothing that is stored: what is asked is too long for an address, or a secret."""
SIGN_OUT: Final = ("DELETE", sessions.PATH)
"""Open to whoever has a cookie that is good for nothing."""
REMEMBERED_SECONDS: Final = 2.0
"""How long a key is taken as the database knew it: a revoked one is refused so late at most."""
MOST_REMEMBERED: Final = 4096


@dataclass(frozen=True)
class Caller:
    """Who asks, and for what their key is good."""

    owner: str
    scopes: frozenset[str]

    @property
    def sees(self) -> str | None:
        """Whose things are there for this caller; None: everybody's."""
        return None if "admin" in self.scopes else self.owner

    @property
    def may_go_first(self) -> bool:
        """Whether what this caller submits may be claimed before what others have submitted."""
        return self.is_anybody or "admin" in self.scopes

    @property
    def is_anybody(self) -> bool:
        """Whether this is who is here while there are no keys."""
        return self is ANYBODY_HERE


ANYBODY_HERE: Final = Caller(keys.LOCAL, frozenset({"read", "write"}))
"""Whoever is on this machine, while there are no keys."""


class Callers:
    """ASGI middleware that finds out who calls, and answers 401 or 403 to those who may not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._remembered: dict[tuple[bool, bytes], tuple[float, Caller]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        if not _is_guarded(scope):
            await self.app(scope, receive, send)
            return
        try:
            _refuse_key_in_address(scope)
            known = self._recall(scope)
            caller, unnoted = known if known is not None else await run_in_threadpool(self._find, scope)
            _require_scope(caller, scope)
        except Exception as error:  # outside the app's own handlers: whatever it is becomes a problem document here
            refusal = await problems.answer(Request(scope), error)
            await refusal(scope, receive, send)
            return
        scope["state"]["caller"] = caller
        await self.app(scope, receive, send)
        if unnoted is not None:  # only now, when nobody waits for it
            with suppress(OperationalError):  # it will be noted at the next look
                await scope["state"]["writers"].write(lambda session: keys.note_use(session, unnoted))

    def _recall(self, scope: Scope) -> tuple[Caller, UUID | None] | None:
        until, caller = self._remembered.get(_credentials(scope), (0.0, ANYBODY_HERE))
        return (caller, None) if time.monotonic() < until else None

    def _find(self, scope: Scope) -> tuple[Caller, UUID | None]:
        """Ask the database who calls, and which key's use it should be told of."""
        with scope["state"]["database"].read() as session:
            if _is_on_loopback(scope) and not keys.are_asked_for(session):
                caller, unnoted = ANYBODY_HERE, None
            else:
                sent = key_of(scope)
                if sent is None:
                    raise _unauthorized(
                        "This service asks for a key: send the header Authorization: Bearer … with yours."
                    )
                key = keys.find(session, sent)
                if key is None:
                    raise _unauthorized("There is no such key, or it was revoked.", 'error="invalid_token"')
                caller = Caller(key.owner, frozenset(key.scopes))
                unnoted = None if keys.is_use_noted(session, key) else key.id
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[_credentials(scope)] = (time.monotonic() + REMEMBERED_SECONDS, caller)
        return caller, unnoted


def _is_guarded(scope: Scope) -> bool:
    return (
        scope["type"] == "http" and scope["path"].startswith(PROTECTED) and (scope["method"], scope["path"]) != SIGN_OUT
    )


def _credentials(scope: Scope) -> tuple[bool, bytes]:
    """What decides who calls; keys themselves are not kept in memory."""
    return _is_on_loopback(scope), hashlib.sha256((key_of(scope) or "").encode()).digest()


def _is_on_loopback(scope: Scope) -> bool:
    """Whether the connection came in at an address that only this machine reaches. The Host header proves nothing."""
    host, _port = scope.get("server") or ("", None)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def key_of(scope: Scope) -> str | None:
    """The key that a request brings: in its header, or else in the cookie of a browser that signed in."""
    return _key_in_header(scope) or sessions.key_in(scope)


def _key_in_header(scope: Scope) -> str:
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _refuse_key_in_address(scope: Scope) -> None:
    if keys.is_in(unquote_plus(scope["query_string"].decode("latin-1"))):
        raise _unauthorized(
            "A key in an address ends up in logs and histories: revoke this one, and send the next in a header, "
            "Authorization: Bearer …"
        )


def _require_scope(caller: Caller, scope: Scope) -> None:
    reads = scope["method"] in READING_METHODS or scope["path"].endswith(READING_POSTS)
    needed: keys.Scope = "read" if reads else "write"
    if needed not in caller.scopes:
        detail = f"This key is good for {' and '.join(sorted(caller.scopes))}; this takes one for {needed}."
        headers = {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{needed}"'}
        raise Problem(kinds.forbidden, detail, headers=headers)
    if not reads and not _key_in_header(scope):
        _refuse_other_sites(caller, scope)


def _refuse_other_sites(caller: Caller, scope: Scope) -> None:
    """Refuse what a browser sends for a page from elsewhere: no page can keep it from naming the origin.

    Who needs no key may be a program, which names none.
    """
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    names_none = origin is None and caller.is_anybody
    if not names_none and (origin or "").partition("://")[2] != headers.get("host"):
        raise Problem(kinds.cross_site, kinds.cross_site.detail)


def _unauthorized(detail: str, error: str = "") -> Problem:
    challenge = f"{CHALLENGE}, {error}" if error else CHALLENGE
    return Problem(kinds.unauthorized, detail, headers={"WWW-Authenticate": challenge})
