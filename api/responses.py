"""What the OpenAPI document says of answers that are not the plain success."""

from typing import Any

from api.problem_kinds import BY_STATUS
from api.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def problems(*statuses: int) -> Responses:
    """The problem documents an operation can answer with."""
    return {
        status: {"description": BY_STATUS[status].title, "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}
        for status in statuses
    }


def formats(**schemas: str) -> Responses:
    """The formats beside JSON that an operation can answer in, by media type and what it holds."""
    media = {"csv": "text/csv", "png": "image/png", "svg": "image/svg+xml"}
    content = {
        media[name]: {"schema": {"type": "string", "description": description}} for name, description in schemas.items()
    }
    return {200: {"content": content}}


NOT_MODIFIED: Responses = {304: {"description": "Unchanged since the ETag in If-None-Match."}}
