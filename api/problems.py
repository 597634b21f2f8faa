"""Errors as HTTP answers: problem documents (RFC 9457), one kind of problem per `type`.

Routes and the layers below raise exceptions that know no HTTP, or `Problem`; `install` turns all of them into
`application/problem+json`, the framework's own 404 and 405 and unforeseen errors included.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy import exc
from starlette.exceptions import HTTPException

from api import invalid
from api import problem_kinds as kinds
from api.problem_kinds import BY_STATUS, Kind
from api.request_ids import HEADER, request_id
from mlcore import errors as mlcore_errors
from store import errors as store_errors
from worker.logs import log_context

log = logging.getLogger("epochd.api")
_starts_with_id = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\b")

MEDIA_TYPE = "application/problem+json"
NOTHING = "There is nothing at this address. /docs shows the addresses there are."
MOST_ERRORS = 50
"""How many errors a document lists; the first tell enough."""


@dataclass(eq=False)
class Problem(Exception):
    """A problem the API itself finds with a request."""

    kind: Kind
    detail: str
    errors: Sequence[invalid.Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """For logs."""
        return f"{self.kind.slug}: {self.detail}"


DOMAIN: dict[type[Exception], Kind] = {
    store_errors.NotFound: kinds.not_found,
    store_errors.AlreadyFinal: kinds.already_finished,
    store_errors.NothingToRetry: kinds.nothing_to_retry,
    store_errors.QueueFull: kinds.queue_full,
    store_errors.StillRunning: kinds.still_running,
    store_errors.KeyReused: kinds.key_reused,
    store_errors.SchemaOutdated: kinds.not_ready,
    store_errors.CheckpointDamaged: kinds.checkpoint_damaged,
    mlcore_errors.DatasetError: kinds.dataset_unusable,
    exc.TimeoutError: kinds.database_unavailable,
    exc.OperationalError: kinds.database_unavailable,
}
"""What the domain's errors are over HTTP; the kind says the sentence where the error's own is not for users."""


def invalid_problem(faults: Sequence[invalid.Fault]) -> Problem:
    """A 422 that lists what is wrong, and says the first of it in its detail."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more, see errors)" if len(faults) > 1 else ""
    return Problem(kinds.invalid, f"{first.pointer or 'The body'} {first.detail}{more}", faults[:MOST_ERRORS])


def response(request: Request, problem: Problem) -> JSONResponse:
    """The problem as an HTTP answer."""
    known_as = request_id(request.scope)
    document: dict[str, Any] = {
        "type": f"/problems/{problem.kind.slug}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": quote(request.url.path, safe="/:%@"),
        "request_id": known_as,
    }
    if problem.errors:
        document["errors"] = [fault.document() for fault in problem.errors]
    headers = {**problem.kind.headers, **problem.headers, HEADER: known_as}
    return JSONResponse(document, problem.kind.status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of this app with a problem document."""
    for error in (
        Problem,
        HTTPException,
        RequestValidationError,
        mlcore_errors.PointedError,
        exc.DBAPIError,
        *DOMAIN,
        Exception,
    ):
        app.add_exception_handler(error, answer)


async def answer(request: Request, error: Exception) -> JSONResponse:
    """The error as a problem document; what is the service's fault is logged."""
    problem = _problem_of(request, error)
    if problem is not error and problem.kind.status >= 500:
        unforeseen = error if problem.kind is kinds.internal else None
        with log_context(request_id=request_id(request.scope)):  # what is unforeseen is caught outside the middleware
            log.error("%s %s: %s", request.method, request.url.path, error, exc_info=unforeseen)
    return response(request, problem)


def _problem_of(request: Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case HTTPException():
            return _of_framework(request, error)
        case RequestValidationError():
            return invalid_problem(invalid.faults(error, invalid.body_model(request)))
        case mlcore_errors.PointedError():
            return invalid_problem([invalid.of_pointed(error)])
        case store_errors.KeyReused():
            said = "came with another request before; make a new one for each submission"
            return Problem(kinds.key_reused, str(error), [invalid.Fault("/Idempotency-Key", said, "header")])
        case store_errors.NotFound():
            return Problem(kinds.not_found, _no_such(request))
        case exc.DBAPIError() if _lacks_table(error):
            return Problem(kinds.not_ready, kinds.not_ready.detail)
    kind = next((DOMAIN[cls] for cls in type(error).__mro__ if cls in DOMAIN), kinds.internal)
    return Problem(kind, kind.detail or str(error))


def _lacks_table(error: exc.DBAPIError) -> bool:
    return type(error.orig).__name__ == "UndefinedTable" or "no such table" in str(error.orig)


def _of_framework(request: Request, error: HTTPException) -> Problem:
    if error.status_code == 404:
        return Problem(kinds.not_found, _no_such(request) if _is_malformed_id(request) else NOTHING)
    if error.status_code == 405:
        return _method_not_allowed(request)
    kind = BY_STATUS.get(error.status_code, kinds.bad_request)
    return Problem(kind, str(error.detail), headers=error.headers or {})


def _method_not_allowed(request: Request) -> Problem:
    allowed = ", ".join(sorted(_methods(request)))
    detail = f"{request.method} is not possible here; use {allowed}."
    return Problem(kinds.method_not_allowed, detail, headers={"Allow": allowed})


def _methods(request: Request) -> set[str]:
    """The methods of all routes of a path; the router knows one route's.

    The path of an action, …/{preset}:run, fits …/{preset} too: whichever leaves least to a parameter is meant.
    """
    methods: defaultdict[int, set[str]] = defaultdict(set)
    for route in iter_route_contexts(request.app.routes):
        if match := route.path_regex.match(request.scope["path"]):
            methods[_left_to_parameters(match)].update(route.methods or ())
    allowed = methods[min(methods)]
    return allowed | ({"HEAD"} if "GET" in allowed else set())


def _left_to_parameters(match: re.Match[str]) -> int:
    return sum(map(len, match.groups()))


def _is_malformed_id(request: Request) -> bool:
    match request.url.path.split("/")[1:4]:
        case ["v1", "experiments" | "runs", name]:
            return not _starts_with_id.match(name)
    return False


def _no_such(request: Request) -> str:
    """One sentence for every id that leads nowhere: unknown, malformed, or somebody else's."""
    match request.url.path.split("/")[1:3]:
        case ["v1", ("experiments" | "runs") as collection]:
            return f"There is no {collection[:-1]} with this id; GET /v1/{collection} lists those there are."
    return NOTHING
