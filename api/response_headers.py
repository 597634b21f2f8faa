"""Which headers answers bring, told in the OpenAPI document by what an operation is."""

from typing import Any, Final

Json = dict[str, Any]

_DESCRIPTIONS: Final = {
    "ETag": "Names this answer: sent back as If-None-Match, it brings 304 while nothing has changed.",
    "Link": 'The next page, rel="next" (RFC 8288); absent on the last one.',
    "Location": "The address to follow.",
    "Preference-Applied": "wait=N, where that was asked for with Prefer.",
    "Retry-After": "Seconds after which to ask again.",
    "WWW-Authenticate": "What kind of key is asked for, and why the one that was sent is not enough.",
}
_BY_STATUS: Final = {
    "201": ("Location",),
    "202": ("Location", "Retry-After"),
    "304": ("ETag",),
    "401": ("WWW-Authenticate",),
    "403": ("WWW-Authenticate",),
    "429": ("Retry-After",),
}


def fill_in(document: Json) -> None:
    """Write into each answer of the document which headers it may bring."""
    for operations in document["paths"].values():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                names = (*_BY_STATUS.get(status, ()), *_of_operation(method, operation, status))
                if names:
                    response.setdefault("headers", {}).update({name: _header(name) for name in sorted(names)})


def _of_operation(method: str, operation: Json, status: str) -> list[str]:
    takes = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    is_conditional = "304" in operation["responses"] or method == "patch"
    brings = {
        "ETag": status == "200" and is_conditional,
        "Link": status == "200" and "page_token" in takes,
        "Preference-Applied": status in ("201", "202") and "prefer" in takes,
    }
    return [name for name, applies in brings.items() if applies]


def _header(name: str) -> Json:
    return {"description": _DESCRIPTIONS[name], "schema": {"type": "string"}}
