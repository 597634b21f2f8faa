"""Experiments: submit, list, look at, name, cancel, retry, delete."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from sqlalchemy.orm import Session

from api import examples, pages
from api import problem_kinds as kinds
from api.dependencies import DatabaseOf, Owner, Posted, PublisherOf, SettingsOf, WritersOf
from api.experiments import answered, shown
from api.negotiation import conditional, etag_of, require_match
from api.responses import NOT_MODIFIED, Responses, problems
from api.schemas import common, experiments, runs
from api.settings import ApiSettings
from api.strict_json import StrictRoute
from api.submitting import SubmittingOf
from store import deleting, retrying, tables
from store import experiments as stored
from store import runs as stored_runs
from store.admission import require_room
from store.clock import read_clock
from store.queue import QueuePlace, place

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], route_class=StrictRoute)


class SubmitQuery(common.Query):
    """How to submit."""

    validate_only: bool = Query(
        default=False, description="Only say whether the request is valid, and what it would train."
    )


VALIDATED: Responses = {
    200: {"model": experiments.Validation, "description": "With validate_only: the request is valid."},
}
SUBMITTED: Responses = {
    201: {"model": experiments.Experiment, "description": "With Prefer: wait=N, when it has ended within that time."},
    202: {"description": "It waits in the queue, or is being trained; Location leads to it."},
}


@router.post(
    "",
    status_code=202,
    response_model=experiments.Experiment,
    responses={
        **VALIDATED,
        **SUBMITTED,
        **problems(400, 413, 415, 422, kinds.key_reused, 429),
    },
)
async def create_experiment(
    submission: Annotated[experiments.ExperimentRequest, Body(openapi_examples=examples.for_openapi())],
    query: Annotated[SubmitQuery, Query()],
    posted: Posted,
    submitting: SubmittingOf,
) -> Response:
    """Submit an experiment: it waits in the queue, and a worker trains it.

    A grid, seeds, data seeds and folds make it a sweep of up to 100,000 runs; runs of one shape train together, as one
    job. The answer comes at once, or with `Prefer: wait=10` when the experiment has ended, at most 10 seconds later.
    Follow `Location` until `status` is succeeded, failed or cancelled.
    """
    return await submitting.answer(submission, posted, validate_only=query.validate_only)


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
            after=pages.after(query, request),
            filters=query.filters,
            newest_first=query.order_by == "-created_at",
        )
        now = read_clock(session)
    following = pages.token(page.next, query, request)
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
        answer = common.dump(shown(session, stored.get(session, experiment_id, owner), settings))
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
            session, experiment_id, limit=query.page_size, after=pages.after_number(query, request), status=query.status
        )
        now = read_clock(session)
    following = pages.number_token(page.next, request)
    pages.link_next(request, response, following)
    return runs.RunPage(items=[runs.summary(one, now) for one in page.items], next_page_token=following)


@router.patch(
    "/{experiment_id:uuid}", response_model=experiments.Experiment, responses=problems(400, 404, 412, 413, 415, 422)
)
async def update_experiment(
    experiment_id: UUID,
    changes: experiments.ExperimentChanges,
    request: Request,
    writers: WritersOf,
    settings: SettingsOf,
    owner: Owner,
) -> Response:
    """Change an experiment's name, tags or note, those that are given (a merge patch, RFC 7396).

    Tags that are not named stay; `null` takes a tag, the name or the note away. With `If-Match`, only if it is still as
    its ETag says.
    """

    def update(session: Session) -> bytes:
        found = _as_known(request, session, experiment_id, owner, settings)
        found = stored.annotate(session, experiment_id, **changes.applied_to(found.tags))
        return common.dump(shown(session, found, settings))

    answer = await writers.write(update)
    return Response(answer, headers={"ETag": etag_of(answer)}, media_type="application/json")


@router.delete("/{experiment_id:uuid}", status_code=204, responses=problems(404, kinds.still_running, 412))
async def delete_experiment(
    experiment_id: UUID, request: Request, writers: WritersOf, settings: SettingsOf, owner: Owner
) -> Response:
    """Delete an experiment with its runs, curves and checkpoints; what waits in the queue is cancelled first.

    It is gone at once; its space is freed within seconds. While one of its runs is training the answer is 409.
    With `If-Match`, only if it is still as its ETag says.
    """

    def delete(session: Session) -> None:
        _as_known(request, session, experiment_id, owner, settings)
        deleting.delete_experiment(session, experiment_id, owner)

    await writers.write(delete)
    return Response(status_code=204)


def _as_known(
    request: Request, session: Session, experiment_id: UUID, owner: str | None, settings: ApiSettings
) -> tables.Experiment:
    """Lock the experiment; raises NotFound, and Problem 412 unless it still is as an If-Match says."""
    found, _ = stored.lock(session, experiment_id, owner)
    require_match(request, lambda: etag_of(common.dump(shown(session, found, settings))))
    return found


@router.post(
    "/{experiment_id:uuid}:cancel",
    status_code=202,
    response_model=experiments.Experiment,
    responses=problems(404, 409),
)
async def cancel_experiment(experiment_id: UUID, writers: WritersOf, settings: SettingsOf, owner: Owner) -> Response:
    """Cancel what has not finished: waiting runs at once, training ones within seconds. What was trained is kept."""

    def cancel(session: Session) -> experiments.Experiment:
        return shown(session, stored.cancel(session, experiment_id, owner), settings)

    return answered(await writers.write(cancel), 202)


@router.post(
    "/{experiment_id:uuid}:retry",
    status_code=202,
    response_model=experiments.Experiment,
    responses=problems(404, kinds.nothing_to_retry, 429),
)
async def retry_experiment(
    experiment_id: UUID,
    writers: WritersOf,
    publisher: PublisherOf,
    settings: SettingsOf,
    owner: Owner,
) -> Response:
    """Train again what failed or was cancelled, from the beginning; what succeeded stays, and what diverged too."""

    def retry(session: Session) -> tuple[experiments.Experiment, int, QueuePlace | None]:
        ended = stored.get(session, experiment_id, owner)
        require_room(session, ended.owner, ended.failed + ended.cancelled, settings.max_queued_runs)
        found, jobs = retrying.retry(session, experiment_id, owner)
        waiting = place(session, experiment_id, worker_seconds=settings.worker_seen_seconds)
        return experiments.full(found, read_clock(session), waiting), jobs, waiting

    answer, jobs, waiting = await writers.write(retry)
    if waiting is not None:
        publisher.publish_for(waiting.queue, jobs, waiting.workers)
    return answered(answer, 202)
