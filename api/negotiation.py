"""Which format an answer has, and whether the client already has it: `?format=`, Accept, ETag and If-None-Match."""

import hashlib
from collections.abc import Callable, Generator, Sequence

from fastapi import Request, Response

from api import problem_kinds as kinds
from api.problems import Problem
from api.streaming import Stream
from api.version import VERSION

MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
}
PICTURES = ("png", "svg")
"""Formats that show names, which change at any time."""
LIVE = "private, no-cache"
"""Keep it, but ask each time whether it still holds."""
SETTLED = "private, max-age=600"
"""What will not change; deleting it is the exception, hence no more than ten minutes."""


def choose(request: Request, wanted: str | None, choices: Sequence[str]) -> str:
    """The format to answer in: `wanted` if given, else what Accept likes best, the first of `choices` winning ties.

    Raises Problem 406 naming the choices.
    """
    named = f"The choices here are {', '.join(f'?format={choice}' for choice in choices)}."
    if wanted is not None:
        if wanted not in choices:
            raise Problem(kinds.not_acceptable, f"This is not to be had in that format. {named}")
        return wanted
    accept = request.headers.get("accept") or "*/*"
    best = max(choices, key=lambda choice: _quality(accept, MEDIA_TYPES[choice].partition(";")[0]))
    if _quality(accept, MEDIA_TYPES[best].partition(";")[0]) == 0:
        raise Problem(kinds.not_acceptable, f"This is not to be had in a format that Accept allows. {named}")
    return best


def _quality(accept: str, media_type: str) -> float:
    """How welcome a media type is, 0 to 1; the most specific range that fits decides (RFC 9110, 12.5.1)."""
    fitting = ["*/*", media_type.partition("/")[0] + "/*", media_type]
    found = (-1, 0.0)
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in fitting:
            found = max(found, (fitting.index(name), _weight(parameters)), key=lambda pair: pair[0])
    return found[1]


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def etag_of(content: bytes) -> str:
    """A strong entity tag for these bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def weak_etag(*parts: object) -> str:
    """An entity tag for what follows from these parts alone: known before the content is made."""
    return "W/" + etag_of(repr((VERSION, *parts)).encode())


def conditional(
    request: Request,
    etag: str,
    produce: Callable[[], bytes | Generator[bytes, None, None]],
    media_type: str,
    *,
    settled: bool = False,
) -> Response:
    """The content with its ETag, or 304 without producing it when the client has it already (RFC 9110, 13.1.2).

    What is produced piece by piece is sent so.
    """
    headers = {"ETag": etag, "Cache-Control": SETTLED if settled else LIVE, "Vary": "Accept"}
    if _has(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    content = produce()
    if isinstance(content, bytes):
        return Response(content, media_type=media_type, headers=headers)
    return Stream(content, media_type, headers)


def require_match(request: Request, current: Callable[[], str]) -> None:
    """Raise Problem 412 when If-Match was sent and what there is has none of its strong tags (RFC 9110, 13.1.1)."""
    wanted = [tag.strip() for tag in request.headers.get("if-match", "*").split(",")]
    if "*" not in wanted and current() not in wanted:
        raise Problem(kinds.changed_meanwhile, kinds.changed_meanwhile.detail)


def _has(if_none_match: str, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag.removeprefix("W/") in known or "*" in known
