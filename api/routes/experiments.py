"""Experiments: submit, list, look at, cancel, retry."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response

from api import examples, pages
from api.dependencies import DatabaseOf, Owner, Posted, PublisherOf, SettingsOf, Submitter
from api.negotiation import conditional, etag_of
from api.responses import NOT_MODIFIED, problems
from api.schemas import common, experiments, runs
from api.strict_json import StrictRoute
from api.submissions import Plan, queue_of
from api.version import VERSION
from store import experiments as stored
from store import retrying
from store import runs as stored_runs
from store.admission import require_room
from store.clock import read_clock
from store.queue import place
from store.workers import count_live

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], route_class=StrictRoute)

POLL_SECONDS = "1"
"""When to look again, for clients that do."""


class SubmitQuery(common.Query):
    """How to submit."""

    validate_only: bool = Query(
        default=False, description="Only say whether the request is valid, and what it would train."
    )


@router.post(
    "",
    status_code=202,
    response_model=experiments.Experiment,
    responses={
        200: {"model": experiments.Validation, "description": "With validate_only: the request is valid."},
        **problems(400, 413, 415, 422, 429),
    },
)
def create_experiment(
    submission: Annotated[experiments.ExperimentRequest, Body(openapi_examples=examples.for_openapi())],
    query: Annotated[SubmitQuery, Query()],
    posted: Posted,
    database: DatabaseOf,
    publisher: PublisherOf,
    settings: SettingsOf,
    submitter: Submitter,
) -> Response:
    """Submit an experiment: it waits in the queue, and a worker trains it.

    A grid, seeds, data seeds and folds make it a sweep of up to 100,000 runs; runs of one shape train together, as one
    job. The answer comes at once; follow `Location` until `status` is succeeded, failed or cancelled.
    """
    queue = queue_of(submission)
    with database.read() as session:
        live = count_live(session, queue, settings.worker_seen_seconds)
    plan = Plan.of(submission, live, settings.max_queued_runs)
    if query.validate_only:
        return _json(plan.validation(live), 200)
    with database.write() as session:
        require_room(session, submitter, len(plan.specs), settings.max_queued_runs)
        made = stored.create(
            session,
            request=posted,
            owner=submitter,
            jobs=plan.jobs(queue),
            code_version=VERSION,
            **submission.model_dump(include={"name", "tags", "note", "priority", "ephemeral"}),
        )
        waiting = place(session, made.id, worker_seconds=settings.worker_seen_seconds)
    answer = experiments.full(made, made.created_at, waiting)
    publisher.publish_for(queue, len(plan.stacks), live)
    return _json(answer, 202, {"Location": answer.links.self, "Retry-After": POLL_SECONDS})


@router.get("", responses=problems(422))
def list_experiments(
    query: Annotated[pages.ListQuery, Query()], request: Request, response: Response, database: DatabaseOf, owner: Owner
) -> experiments.ExperimentPage:
    """List experiments, newest first; ephemeral ones are left out."""
    with database.read() as session:
        page = stored.page(
            session,
            owner=owner,
            limit=query.page_size,
            after=pages.after(query),
            filters=query.filters,
            newest_first=query.order_by == "-created_at",
        )
        now = read_clock(session)
    following = pages.token(page.next, query)
    pages.link_next(request, response, following)
    return experiments.ExperimentPage(
        items=[experiments.summary(one, now) for one in page.items], next_page_token=following
    )


@router.get("/{experiment_id:uuid}", response_model=experiments.Experiment, responses={**NOT_MODIFIED, **problems(404)})
def get_experiment(
    experiment_id: UUID, request: Request, database: DatabaseOf, settings: SettingsOf, owner: Owner
) -> Response:
    """Look at an experiment: what was asked for, how far it is, and while it waits, why."""
    with database.read() as session:
        found = stored.get(session, experiment_id, owner)
        waiting = place(session, experiment_id, worker_seconds=settings.worker_seen_seconds) if found.queued else None
        answer = common.dump(experiments.full(found, read_clock(session), waiting))
    return conditional(request, etag_of(answer), lambda: answer, "application/json")


@router.get("/{experiment_id:uuid}/runs", responses=problems(404, 422))
def list_experiment_runs(
    experiment_id: UUID,
    query: Annotated[pages.PageQuery, Query()],
    request: Request,
    response: Response,
    database: DatabaseOf,
    owner: Owner,
) -> runs.RunPage:
    """List the runs of an experiment in the order of their numbers: along the grid, data seeds, seeds and folds."""
    with database.read() as session:
        stored.get(session, experiment_id, owner)
        page = stored_runs.of_experiment(
            session, experiment_id, limit=query.page_size, after=pages.after_number(query), status=query.status
        )
        now = read_clock(session)
    following = pages.number_token(page.next)
    pages.link_next(request, response, following)
    return runs.RunPage(items=[runs.summary(one, now) for one in page.items], next_page_token=following)


@router.post(
    "/{experiment_id:uuid}:cancel",
    status_code=202,
    response_model=experiments.Experiment,
    responses=problems(404, 409),
)
def cancel_experiment(experiment_id: UUID, database: DatabaseOf, owner: Owner) -> Response:
    """Cancel what has not finished: waiting runs at once, training ones within seconds. What was trained is kept."""
    with database.write() as session:
        found = stored.cancel(session, experiment_id, owner)
        answer = experiments.full(found, read_clock(session), place(session, experiment_id))
    return _json(answer, 202, {"Location": answer.links.self, "Retry-After": POLL_SECONDS})


@router.post(
    "/{experiment_id:uuid}:retry",
    status_code=202,
    response_model=experiments.Experiment,
    responses=problems(404, 409, 429),
)
def retry_experiment(
    experiment_id: UUID, database: DatabaseOf, publisher: PublisherOf, settings: SettingsOf, owner: Owner
) -> Response:
    """Train again what failed or was cancelled, from the beginning; what succeeded stays, and what diverged too."""
    with database.write() as session:
        ended = stored.get(session, experiment_id, owner)
        require_room(session, ended.owner, ended.failed + ended.cancelled, settings.max_queued_runs)
        found, jobs = retrying.retry(session, experiment_id, owner)
        waiting = place(session, experiment_id, worker_seconds=settings.worker_seen_seconds)
        answer = experiments.full(found, read_clock(session), waiting)
    if waiting is not None:
        publisher.publish_for(waiting.queue, jobs, waiting.workers)
    return _json(answer, 202, {"Location": answer.links.self, "Retry-After": POLL_SECONDS})


def _json(answer: common.Answer, status: int, headers: dict[str, Any] | None = None) -> Response:
    return Response(common.dump(answer), status, headers, "application/json")
