"""What the OpenAPI document says of answers that are not the plain success."""

from typing import Any

from api.problem_examples import example
from api.problem_kinds import BY_STATUS, Kind
from api.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def problems(*possible: int | Kind) -> Responses:
    """The problem documents an operation can answer with, an example of each: a status stands for its general kind."""
    kinds = [BY_STATUS[one] if isinstance(one, int) else one for one in possible]
    return {status: _answer([kind for kind in kinds if kind.status == status]) for status in {k.status for k in kinds}}


def _answer(kinds: list[Kind]) -> dict[str, Any]:
    return {
        "description": "; or ".join(kind.title for kind in kinds),
        "content": {
            MEDIA_TYPE: {
                "schema": PROBLEM_SCHEMA,
                "examples": {kind.slug: {"summary": kind.title, "value": example(kind)} for kind in kinds},
            }
        },
    }


def formats(**schemas: str) -> Responses:
    """The formats beside JSON that an operation can answer in, by media type and what it holds."""
    media = {"csv": "text/csv", "png": "image/png", "svg": "image/svg+xml"}
    content = {
        media[name]: {"schema": {"type": "string", "description": description}} for name, description in schemas.items()
    }
    return {200: {"content": content}}


NOT_MODIFIED: Responses = {304: {"description": "Unchanged since the ETag in If-None-Match."}}
