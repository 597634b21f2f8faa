"""Pages of lists: opaque tokens that say where a page ended, and the Link header that leads to the next."""

import base64
import binascii
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import Field, StringConstraints

from api.invalid import Fault
from api.problems import invalid_problem
from api.schemas.common import Query
from store.paging import Filters, PageKey
from store.status import Status

Variant = Literal["mlp", "polynomial", "linear"]
LARGEST_NUMBER = 2**31


class PageQuery(Query):
    """How a list is walked."""

    page_size: int = Field(50, ge=1, le=200, description="Items on a page.")
    page_token: str | None = Field(
        None,
        max_length=200,
        description="`next_page_token` of the page before; keep the other parameters.",
    )
    status: Status | None = Field(None, description="Only those in this status.")


class ListQuery(PageQuery):
    """How a list over all experiments is walked, and what is left out of it."""

    order_by: Literal["-created_at", "created_at"] = Field("-created_at", description="Newest or oldest first.")
    variant: Variant | None = Field(None, description="Only this model variant.")
    tag: Annotated[str, StringConstraints(pattern="^[^:\\x00]+:[^\\x00]*$", max_length=330)] | None = Field(
        None, description="Only experiments with this tag, as name:value."
    )
    q: str | None = Field(None, pattern=r"^[^\x00]{1,200}$", description="Only experiments whose name has this in it.")

    @property
    def filters(self) -> Filters:
        """For the store."""
        name, _, value = (self.tag or "").partition(":")
        return Filters(self.status, self.variant, (name, value) if self.tag else None, self.q)


def after(query: ListQuery, request: Request) -> PageKey | None:
    """Where the page asked for begins; raises Problem 422 for a token that was not made for this list."""
    if query.page_token is None:
        return None
    with _refusing_other_tokens():
        created_at, row_id, order = _decoded(query.page_token, request)
        key = PageKey(float(created_at), UUID(row_id))
        if order != query.order_by or not math.isfinite(key.created_at):
            raise ValueError(order)
    return key


def after_number(query: PageQuery, request: Request) -> int | None:
    """The number of the run after which the page asked for begins; raises Problem 422 as `after` does."""
    if query.page_token is None:
        return None
    with _refusing_other_tokens():
        (number,) = _decoded(query.page_token, request)
        if type(number) is not int or not 0 <= number < LARGEST_NUMBER:
            raise ValueError(number)
    return int(number)


def token(key: PageKey | None, query: ListQuery, request: Request) -> str | None:
    """What the client passes for the next page; None on the last."""
    return None if key is None else _encoded([repr(key.created_at), str(key.id), query.order_by], request)


def number_token(number: int | None, request: Request) -> str | None:
    """What the client passes for the page after the run of this number; None on the last."""
    return None if number is None else _encoded([number], request)


def _encoded(content: list[object], request: Request) -> str:
    document = [request.url.path, *content]  # a token is good for its own list
    return base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()


def _decoded(page_token: str, request: Request) -> list[Any]:
    document: list[Any] = json.loads(base64.urlsafe_b64decode(page_token.encode()))
    path, *content = document
    if path != request.url.path:
        raise ValueError(path)
    return content


@contextmanager
def _refusing_other_tokens() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        detail = "is not a token of this list; pass next_page_token of the page before, and keep the other parameters"
        raise invalid_problem([Fault("/page_token", detail, "query")]) from error


def link_next(request: Request, response: Response, next_token: str | None) -> None:
    """Add the Link header (RFC 8288) to the next page, if there is one."""
    if next_token is not None:
        url = request.url.include_query_params(page_token=next_token)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
