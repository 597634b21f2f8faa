"""How the service is doing, in numbers, for those who watch it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.clock import database_now
from store.status import Status
from store.tables import Experiment, Job, Worker


@dataclass(frozen=True)
class QueueDepth:
    """How many jobs of a queue wait, and for how many seconds the oldest does."""

    jobs: int
    oldest_seconds: float


@dataclass(frozen=True)
class WorkerState:
    """When a worker was last heard of, and whether it trains."""

    name: str
    device: str
    silent_seconds: float
    is_busy: bool


@dataclass(frozen=True)
class Trained:
    """How many epochs of an experiment were trained so far, not copied, and when the first of them began."""

    experiment_id: UUID
    epochs: int
    started_at: float


def queues(session: Session) -> dict[str, QueueDepth]:
    """Return the queues in which something waits."""
    oldest = database_now() - func.min(Job.created_at)
    query = select(Job.queue, func.count(), oldest).where(Job.status == Status.QUEUED).group_by(Job.queue)
    return {queue: QueueDepth(jobs, max(seconds, 0.0)) for queue, jobs, seconds in session.execute(query)}


def runs_by_status(session: Session) -> dict[Status, int]:
    """Return how many runs there are in each status."""
    totals = session.execute(select(*(func.sum(getattr(Experiment, status)) for status in Status))).one()
    return dict(zip(Status, (int(total or 0) for total in totals), strict=True))


def workers(session: Session) -> list[WorkerState]:
    """Return the workers that are known, by name."""
    busy = select(Job.worker).where(Job.status == Status.RUNNING)
    columns = (Worker.name, Worker.device, database_now() - Worker.heartbeat_at, Worker.name.in_(busy))
    rows = session.execute(select(*columns).order_by(Worker.name))
    return [WorkerState(name, device, max(seconds, 0.0), is_busy) for name, device, seconds, is_busy in rows]


def trained(session: Session, since: float) -> list[Trained]:
    """Return the experiments that train, or ended after this time."""
    is_recent = (Experiment.status == Status.RUNNING) | (Experiment.finished_at >= since)
    columns = (Experiment.id, Experiment.epochs_done - Experiment.epochs_reused, Experiment.started_at)
    rows = session.execute(select(*columns).where(is_recent, Experiment.started_at.is_not(None)))
    return [Trained(experiment_id, epochs, started_at or 0.0) for experiment_id, epochs, started_at in rows]
