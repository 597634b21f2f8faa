"""Where an experiment stands in the queue, and why it waits."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from store import workers
from store.claiming import running_by_owner
from store.status import Status
from store.tables import Job


@dataclass(frozen=True)
class QueuePlace:
    """The place of a queued job: position 1 is claimed next. `workers` live ones take jobs from its queue."""

    queue: str
    position: int
    workers: int

    @property
    def reason(self) -> str | None:
        """Why it cannot be claimed at all."""
        return None if self.workers else f"No live worker takes jobs from the queue {self.queue}."


def place(session: Session, experiment_id: UUID, *, worker_seconds: float = 15) -> QueuePlace | None:
    """Return the place of the experiment's best queued job, or None when none is queued.

    The position counts the jobs of its queue that a claim would take before it now. A worker that was not heard of for
    `worker_seconds` is not counted on.
    """
    found = session.execute(_place(), {"experiment_id": experiment_id}).one_or_none()
    if found is None:
        return None
    return QueuePlace(found.queue, found.ahead + 1, workers.count_live(session, found.queue, worker_seconds))


@cache  # building the expression takes several times as long as executing it
def _place() -> Select[*tuple[Any, ...]]:
    running = running_by_owner()
    mine = (
        select(Job.queue, Job.priority, Job.created_at, Job.id, func.coalesce(running.c.jobs, 0).label("busy"))
        .outerjoin(running, running.c.owner == Job.owner)
        .where(Job.experiment_id == bindparam("experiment_id"), Job.status == Status.QUEUED)
        .order_by(Job.priority.desc(), Job.created_at, Job.id)
        .limit(1)
        .cte("mine")
    )
    other, others = aliased(Job), running_by_owner()
    place_of_other = tuple_(func.coalesce(others.c.jobs, 0), other.created_at, other.id)
    before = (other.priority == mine.c.priority) & (place_of_other < tuple_(mine.c.busy, mine.c.created_at, mine.c.id))
    ahead = (
        select(func.count())
        .select_from(other)
        .outerjoin(others, others.c.owner == other.owner)
        .where(other.status == Status.QUEUED, other.queue == mine.c.queue)
        .where((other.priority > mine.c.priority) | before)
    )
    return select(mine.c.queue, ahead.scalar_subquery().label("ahead"))
