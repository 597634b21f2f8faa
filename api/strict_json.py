"""Request bodies that mean exactly one thing: strict JSON of a limited size, refused before anything reads it.

Python's parser takes NaN, Infinity and 1e999, keeps the last of two equal keys and lets lone surrogates through;
each of them would surface later as a 500 or as somebody's wrong experiment.
"""

import json
import math
import re
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing
from itertools import islice
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from api import problem_kinds as kinds
from api import strict_query
from api.invalid import Fault, pointer
from api.problems import MOST_ERRORS, Problem, invalid_problem
from api.text import is_text

DEEPEST = 20
"""Levels of nesting that no sensible request needs."""

Path = tuple[str | int, ...]
Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
_json_media_type = re.compile(r"application/([\w.-]+\+)?json")


class StrictRoute(APIRoute):
    """A route whose JSON body is read strictly, and whose query has only parameters that it declares."""

    LARGEST: ClassVar = "max_body_bytes"
    """The setting that limits its size."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, handed a request whose body is already read and found good."""
        answer = super().get_route_handler()
        parameters = strict_query.declared(self.dependant)

        async def handler(request: Request) -> Response:
            strict_query.check(request, parameters)
            if self.body_field is None:
                return await answer(request)
            strict = StrictRequest(request.scope, request.receive)
            strict.limit = getattr(request.state.settings, self.LARGEST)
            if await strict.body():
                await strict.json()
            return await answer(strict)

        return handler


class ImageRoute(StrictRoute):
    """A strict route whose body may hold images."""

    LARGEST: ClassVar = "max_image_body_bytes"


class StrictRequest(Request):
    """A request that reads its body up to a limit, and as strict JSON only."""

    limit: int

    async def body(self) -> bytes:
        """The whole body; raises Problem 413 as soon as it is known to be too large."""
        if not hasattr(self, "_body"):
            self._body = await self._read()
        return self._body

    async def json(self) -> Json:
        """The document; raises Problem 415, 400 or 422."""
        if not hasattr(self, "_json"):
            _require_json(self.headers.get("content-type", ""))
            self._json = parse(await self.body())
        document: Json = self._json
        return document

    async def _read(self) -> bytes:
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.limit:
            raise _too_large(self.limit)
        body = bytearray()
        try:
            async with aclosing(self.stream()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > self.limit:
                        raise _too_large(self.limit)
        except ClientDisconnect as error:
            raise Problem(kinds.bad_request, "The connection ended before the body did.") from error
        return bytes(body)


def parse(body: bytes) -> Json:
    """Read one JSON document; raises Problem 400 when it is none, 422 when it is ambiguous or not finite."""
    try:
        document: Json = json.loads(body.decode(), object_pairs_hook=_object, parse_int=_whole)
    except UnicodeDecodeError as error:
        raise Problem(kinds.not_json, f"The body is not UTF-8 text: byte {error.start} fits nowhere.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(kinds.not_json, f"Reading the body stopped at {where}: {error.msg}.") from error
    except RecursionError as error:
        raise Problem(kinds.not_json, "The body is nested too deeply to be read.") from error
    found = list(islice(_faults(document), MOST_ERRORS))
    if found:
        raise invalid_problem(found)
    return document


class _Ambiguous(dict[str, Any]):
    """An object in which a key occurs twice."""

    key = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    ambiguous = _Ambiguous(members)
    ambiguous.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return ambiguous


def _whole(digits: str) -> int | float:
    # Python refuses to read integers of more than some thousand digits, with an error of its own.
    return int(digits) if len(digits) < 400 else math.inf


def _faults(document: Json) -> Iterator[Fault]:
    """What is wrong anywhere in the document, without recursion: the nesting is the client's choice."""
    waiting: deque[tuple[Json, Path]] = deque([(document, ())])
    while waiting:
        value, path = waiting.popleft()
        if len(path) > DEEPEST:
            yield Fault(pointer(path), f"is nested more than {DEEPEST} levels deep")
            continue
        if isinstance(value, _Ambiguous) and is_text(value.key):
            yield Fault(pointer((*path, value.key)), "is there twice; give each field once")
        for key, item in _members(value):
            if isinstance(key, str) and not is_text(key):
                yield Fault(pointer(path), "has a field whose name is not text")
            elif isinstance(item, dict | list):
                waiting.append((item, (*path, key)))
            elif detail := _wrong(item):
                yield Fault(pointer((*path, key)), detail)


def _members(value: Json) -> Iterable[tuple[str | int, Json]]:
    match value:
        case dict():
            return value.items()
        case list():
            return enumerate(value)
    return ()


def _wrong(value: Json) -> str | None:
    match value:
        case int() | float() if not abs(value) <= sys.float_info.max:
            return "must be a finite number; NaN, infinity and numbers beyond 1.8e308 are not"
        case str() if not is_text(value):
            return "has a character that is not text: a control character, a lone surrogate, U+FFFE or U+FFFF"
    return None


def _require_json(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if not _json_media_type.fullmatch(media_type):
        said = f"not {media_type}" if media_type else "and say so"
        detail = f"The body must be JSON, {said}: send the header Content-Type: application/json."
        raise Problem(kinds.unsupported_media_type, detail)


def _too_large(limit: int) -> Problem:
    return Problem(kinds.too_large, f"The body may have at most {limit} bytes.")
