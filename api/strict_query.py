"""Query parameters that mean exactly one thing: each is one that the route declares, and is given once.

FastAPI ignores those that it does not know on routes that declare none, and takes the last of several.
"""

from collections.abc import Iterator, Mapping
from typing import get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params

from api.invalid import Fault, pointer, unknown_field
from api.problems import invalid_problem

NOTHING = "is not a known field; no parameters are taken here"


def declared(dependant: Dependant) -> dict[str, bool]:
    """The query parameters of a route, and whether each may be given several times."""
    fields = get_flat_params(Dependant(query_params=dependant.query_params))
    return {field.alias: get_origin(field.field_info.annotation) is list for field in fields}


def check(request: Request, parameters: Mapping[str, bool]) -> None:
    """Raises Problem 422 for parameters other than these, and for several where one is meant."""
    found = list(_faults(request, parameters))
    if found:
        raise invalid_problem(found)


def _faults(request: Request, parameters: Mapping[str, bool]) -> Iterator[Fault]:
    query = request.query_params
    for name in query:
        if name not in parameters:
            said = unknown_field(name, list(parameters)) if parameters else NOTHING
            yield Fault(pointer((name,)), said, "query")
        elif not parameters[name] and len(query.getlist(name)) > 1:
            yield Fault(pointer((name,)), "is there twice; give each parameter once", "query")
