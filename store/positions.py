"""The order in which what waits would be claimed, seen from one experiment: the rules of store.claiming, counted."""

from functools import cache
from typing import Any

from sqlalchemy import CTE, BigInteger, ColumnElement, Select, and_, bindparam, case, cast, func, select, true, tuple_
from sqlalchemy.orm import aliased

from store.claiming import last_served, running_by_owner
from store.status import Status
from store.tables import Job


@cache  # building the expression takes several times as long as executing it
def position_query() -> Select[*tuple[Any, ...]]:
    """Return a query for the queue of an experiment's best queued job, and how many would be claimed before it.

    So many (`ahead`) if no job ended and none came meanwhile; that claims of more urgent jobs change whose turn it is
    is left out. No row when none of its jobs waits. The parameter is `experiment_id`.

    An owner's k-th job is claimed when k - 1 more of their jobs run than now, and competes with that number of running
    jobs. Among equal numbers, who had them first was served longest ago.
    """
    mine = _mine()
    owners = _owners(mine)
    me = owners.alias("me")
    turn, my_turn = (tuple_(-one.c.busy, one.c.served, one.c.head, one.c.owner) for one in (owners, me))
    turns = me.c.busy + mine.c.earlier - owners.c.busy + case((turn < my_turn, 1), else_=0)
    ahead = case((turns < 0, 0), (turns > owners.c.jobs, owners.c.jobs), else_=turns)
    return (
        select(mine.c.queue, cast(mine.c.urgent + func.sum(ahead), BigInteger).label("ahead"))
        .select_from(mine.join(me, me.c.owner == mine.c.owner).join(owners, true()))
        .group_by(mine.c.queue, mine.c.urgent)
    )


def _mine() -> CTE:
    """The experiment's best queued job, how many of its owner's go before it, and how many are more urgent."""
    best = (
        select(Job.queue, Job.priority, Job.owner, Job.created_at, Job.id)
        .where(Job.experiment_id == bindparam("experiment_id"), Job.status == Status.QUEUED)
        .order_by(Job.priority.desc(), Job.created_at, Job.id)
        .limit(1)
        .cte("best")
    )
    own, above = aliased(Job), aliased(Job)
    is_earlier = tuple_(own.created_at, own.id) < tuple_(best.c.created_at, best.c.id)
    earlier = select(func.count()).where(*_waits_with(best, own), own.owner == best.c.owner, is_earlier)
    urgent = select(func.count()).where(
        above.status == Status.QUEUED, above.queue == best.c.queue, above.priority > best.c.priority
    )
    counts = (earlier.scalar_subquery().label("earlier"), urgent.scalar_subquery().label("urgent"))
    return select(best.c.queue, best.c.priority, best.c.owner, *counts).cte("mine")


def _owners(mine: CTE) -> CTE:
    """Everybody who has jobs of the same queue and priority waiting: how many, how many run, and whose turn it is."""
    job, running = aliased(Job), running_by_owner()
    heads = (
        select(job.owner, func.count().label("jobs"), func.min(job.created_at).label("head"))
        .join(mine, and_(*_waits_with(mine, job)))
        .group_by(job.owner)
        .subquery()
    )
    busy = func.coalesce(running.c.jobs, 0).label("busy")
    served = last_served(heads.c.owner).label("served")
    return select(heads, busy, served).outerjoin(running, running.c.owner == heads.c.owner).cte("owners")


def _waits_with(one: CTE, job: type[Job]) -> list[ColumnElement[bool]]:
    return [job.status == Status.QUEUED, job.queue == one.c.queue, job.priority == one.c.priority]
