"""The queue and its workers."""

from fastapi import APIRouter
from sqlalchemy.orm import Session

from api.dependencies import DatabaseOf, Owner, SettingsOf
from api.schemas import queue
from api.strict_json import StrictRoute
from store import experiments, jobs, workers
from store.queue import place
from store.tables import Worker

router = APIRouter(prefix="/v1", tags=["queue"], route_class=StrictRoute)

MOST_WAITING = 50


@router.get("/queue")
def get_queue(database: DatabaseOf, settings: SettingsOf, owner: Owner) -> queue.QueueOverview:
    """See what waits, in which order, and why."""
    with database.read() as session:
        live = workers.live(session, settings.worker_seen_seconds)
        queues = _states(jobs.queued(session), live)
        waiting = _waiting(session, owner, settings.worker_seen_seconds)
    return queue.QueueOverview(queues=queues, waiting=waiting)


@router.get("/workers")
def list_workers(database: DatabaseOf, settings: SettingsOf, owner: Owner) -> queue.WorkerList:
    """List the live workers, and who works on what of yours."""
    with database.read() as session:
        live = workers.live(session, settings.worker_seen_seconds)
        held = jobs.holders(session)
    return queue.WorkerList(items=[queue.worker(row, held.get(row.name), owner) for row in live])


def _states(queued: dict[str, int], live: list[Worker]) -> list[queue.QueueState]:
    names = sorted({"cpu", "gpu", *queued})
    return [
        queue.QueueState(
            name=name, queued_jobs=queued.get(name, 0), workers=sum(name in worker.queues for worker in live)
        )
        for name in names
    ]


def _waiting(session: Session, owner: str | None, worker_seconds: float) -> list[queue.Waiting]:
    listed = experiments.waiting(session, owner=owner, limit=MOST_WAITING)
    found = [(one, place(session, one.id, worker_seconds=worker_seconds)) for one in listed]
    waiting = [
        queue.Waiting(
            experiment_id=one.id,
            name=one.name,
            queue=at.queue,
            position=at.position,
            eta_seconds=at.eta_seconds,
            reason=at.reason,
            href=f"/v1/experiments/{one.id}",
        )
        for one, at in found
        if at is not None
    ]
    return sorted(waiting, key=lambda item: (item.queue, item.position))
