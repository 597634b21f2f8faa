"""Runs: list, look at, cancel."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from api import curves, diagnoses, pages
from api.dependencies import DatabaseOf, Owner, WritersOf
from api.negotiation import conditional, etag_of
from api.responses import NOT_MODIFIED, problems
from api.schemas import common, runs
from api.strict_json import StrictRoute
from store import curves as stored_curves
from store import runs as stored
from store.clock import read_clock

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=StrictRoute)


@router.get("", responses=problems(422))
def list_runs(
    query: Annotated[pages.ListQuery, Query()], request: Request, response: Response, database: DatabaseOf, owner: Owner
) -> runs.RunPage:
    """List the runs of all experiments, newest first; tag and q are those of their experiments."""
    with database.read() as session:
        page = stored.page(
            session,
            owner=owner,
            limit=query.page_size,
            after=pages.after(query, request),
            filters=query.filters,
            newest_first=query.order_by == "-created_at",
        )
        now = read_clock(session)
    following = pages.token(page.next, query, request)
    pages.link_next(request, response, following)
    return runs.RunPage(items=[runs.summary(one, now) for one in page.items], next_page_token=following)


@router.get("/{run_id:uuid}", response_model=runs.Run, responses={**NOT_MODIFIED, **problems(404)})
def get_run(run_id: UUID, request: Request, database: DatabaseOf, owner: Owner) -> Response:
    """Look at a run: its spec with every default filled in, how far it is, its metrics, and its diagnosis."""
    with database.read() as session:
        run, job, now = stored.get_with_job(session, run_id, owner)
        metrics = run.summary
        if metrics is None:
            metrics = curves.metrics(stored_curves.read(session, run_id))
        said = diagnoses.of_run(session, run, metrics)
    answer = common.dump(runs.full(run, job, metrics, said, now))
    return conditional(request, etag_of(answer), lambda: answer, "application/json")


@router.post("/{run_id:uuid}:cancel", status_code=202, responses=problems(404, 409))
async def cancel_run(run_id: UUID, response: Response, writers: WritersOf, owner: Owner) -> runs.RunSummary:
    """Cancel one run: at once while it waits, within seconds while it trains. What was trained is kept."""

    def cancel(session: Session) -> runs.RunSummary:
        return runs.summary(stored.cancel(session, run_id, owner), read_clock(session))

    answer = await writers.write(cancel)
    response.headers["Location"] = answer.links.self
    return answer
