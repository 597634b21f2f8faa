"""Which queued job is next: highest priority, then the owner whose turn it is, then the oldest.

It is the turn of the owner with the fewest running jobs, and among those of the one whose last job started first: they
take turns even where a single worker, between two jobs, leaves nobody with a running one to be compared by.

Sorting the whole queue for every claim would take longer the more waits. Instead the query walks along the index from
the first job of each (queue, priority, owner) to the first of the next, a few steps however many jobs there are, and
compares those.
"""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, ColumnExpressionArgument, ScalarSelect, Subquery, func, select, true
from sqlalchemy.orm import aliased

from store.status import Status
from store.tables import Job


def next_job(queues: tuple[str, ...], *, skip_locked: bool) -> ScalarSelect[UUID]:
    """Return a subquery for the id of the best queued job of these queues, or NULL.

    `skip_locked` (PostgreSQL): the job is locked, and one that another transaction has locked already is passed over
    for the next of its group, or the next group. SQLite has one writer at a time, so its heads are free.
    """
    best = _groups_best_first(queues)
    if not skip_locked:
        return select(best.c.id).limit(1).scalar_subquery()
    member = aliased(Job)
    free = (
        select(member.id)
        .where(
            member.status == Status.QUEUED,
            member.queue == best.c.queue,
            member.priority == best.c.priority,
            member.owner == best.c.owner,
        )
        .order_by(member.created_at, member.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .lateral()
    )
    # Groups are tried in their order and LIMIT stops at the first free job, so no other one is locked.
    return select(free.c.id).select_from(best.join(free, true())).limit(1).scalar_subquery()


def _groups_best_first(queues: tuple[str, ...]) -> Subquery:
    heads, head = _heads(), aliased(Job)
    running = running_by_owner()
    turn = (func.coalesce(running.c.jobs, 0), last_served(head.owner))
    query = (
        select(head.id, head.queue, head.priority, head.owner)
        .join(heads, heads.c.id == head.id)
        .outerjoin(running, running.c.owner == head.owner)
        .where(head.queue.in_(queues))
        .order_by(head.priority.desc(), *turn, head.created_at, head.owner, head.id)
    )
    return query.subquery()


def _heads() -> CTE:
    """Return the ids of the oldest queued job of each (queue, priority, owner)."""
    head = aliased(Job)
    heads = select(_first().label("id")).cte("heads", recursive=True)
    # Not one comparison of row values, of which SQLite looks up only the first column in the index.
    following = func.coalesce(
        _first(lambda job: [job.queue == head.queue, job.priority == head.priority, job.owner > head.owner]),
        _first(lambda job: [job.queue == head.queue, job.priority > head.priority]),
        _first(lambda job: [job.queue > head.queue]),
    )
    return heads.union_all(select(following).select_from(heads).join(head, head.id == heads.c.id))


def _first(conditions: Callable[[type[Job]], list[ColumnElement[bool]]] = lambda _job: []) -> ScalarSelect[UUID]:
    """Return the id of the first queued job along the index that meets the conditions, or NULL."""
    job = aliased(Job)
    return (
        select(job.id)
        .where(job.status == Status.QUEUED, *conditions(job))
        .order_by(job.queue, job.priority, job.owner, job.created_at, job.id)
        .limit(1)
        .scalar_subquery()
    )


def running_by_owner() -> Subquery:
    """Return a subquery of the owners that have running jobs, and how many (columns owner, jobs)."""
    job = aliased(Job)
    counted = select(job.owner, func.count().label("jobs")).where(job.status == Status.RUNNING).group_by(job.owner)
    return counted.subquery()


def last_served(owner: ColumnExpressionArgument[str]) -> ColumnElement[float]:
    """Return when the latest of the owner's jobs was first started; 0 when none ever was."""
    job = aliased(Job)
    latest = select(func.max(job.started_at)).where(job.owner == owner).scalar_subquery()
    return func.coalesce(latest, 0.0)
