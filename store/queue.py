"""Where an experiment stands in the queue, and why it waits."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, case, func, literal, select, tuple_
from sqlalchemy.orm import Session

from store import workers
from store.claiming import running_by_owner
from store.statements import fresh
from store.status import Status
from store.tables import Job


@dataclass(frozen=True)
class QueuePlace:
    """The place of a queued job: position 1 is claimed next. `reason` says why it cannot be claimed at all."""

    queue: str
    position: int
    reason: str | None


def place(session: Session, experiment_id: UUID, *, worker_seconds: float = 15) -> QueuePlace | None:
    """Return the place of the experiment's best queued job, or None when none is queued.

    The position counts the jobs of its queue that a claim would take before it now. A worker that was not heard of for
    `worker_seconds` is not counted on.
    """
    mine = select(Job).where(Job.experiment_id == experiment_id, Job.status == Status.QUEUED)
    best = fresh(session, mine.order_by(Job.priority.desc(), Job.created_at, Job.id).limit(1))
    if not best:
        return None
    ahead = session.execute(_ahead_of(best[0], _running_jobs(session))).scalar_one()
    return QueuePlace(best[0].queue, ahead + 1, _why_nobody_comes(session, best[0].queue, worker_seconds))


def _running_jobs(session: Session) -> dict[str, int]:
    running = running_by_owner()
    return dict(session.execute(select(running.c.owner, running.c.jobs)).all())


def _ahead_of(job: Job, running: dict[str, int]) -> Select[int]:
    busy = case(running, value=Job.owner, else_=0) if running else literal(0)
    mine = (running.get(job.owner, 0), job.created_at, job.id)
    before = (Job.priority == job.priority) & (tuple_(busy, Job.created_at, Job.id) < mine)
    waiting = select(func.count()).select_from(Job).where(Job.status == Status.QUEUED, Job.queue == job.queue)
    return waiting.where((Job.priority > job.priority) | before)


def _why_nobody_comes(session: Session, queue: str, worker_seconds: float) -> str | None:
    if any(queue in worker.queues for worker in workers.live(session, worker_seconds)):
        return None
    return f"No live worker takes jobs from the queue {queue}."
