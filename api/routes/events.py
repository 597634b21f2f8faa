"""What happens to an experiment, as it happens."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from api import event_stream
from api.dependencies import DatabaseOf, Owner, PollerOf
from api.feed import Cursor, Feed
from api.responses import Responses, problems
from api.schemas.events import EventQuery
from api.strict_json import StrictRoute

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], route_class=StrictRoute)

_STREAM: Responses = {
    200: {
        "description": "Messages until the experiment has ended: `event` is `status`, `metrics`, `progress` or `end`, "
        "`data` one of the schemas StatusEvent, MetricsEvent, ProgressEvent and EndEvent.",
        "content": {event_stream.MEDIA_TYPE: {"schema": {"type": "string"}}},
    },
    204: {"description": "The client has had `end`, and nothing came after it: do not come back."},
    **problems(404, 422),
}


@router.get("/{experiment_id:uuid}/events", response_class=Response, responses=_STREAM)
async def get_experiment_events(
    experiment_id: UUID,
    query: Annotated[EventQuery, Query()],
    database: DatabaseOf,
    poller: PollerOf,
    owner: Owner,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=40, description="The last id that came: go on after it, without gap."),
    ] = None,
) -> Response:
    """Follow an experiment by server-sent events: changes of status, new epochs of up to 50 runs, progress, the end.

    Without a last id the whole history comes first. Whoever reconnects with the last id that came gets what came after
    it, each message once, whatever has happened to the service meanwhile. Silence is broken by a comment every 15 s.
    """
    cursor = Cursor.parse(last_event_id or query.last_event_id)
    feed = await run_in_threadpool(Feed.open, database, experiment_id, owner, query)
    first = await run_in_threadpool(feed.read, cursor)
    if cursor.has_end and first.end is not None and not first.messages:
        return Response(status_code=204)
    return event_stream.EventStream(feed, poller, first)
