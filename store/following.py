"""What happened to an experiment after a sequence number, as those who follow it are told."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import case, func, null, select
from sqlalchemy.orm import Session

from store.history import SPLIT
from store.statements import fresh
from store.status import Status
from store.tables import Event, Flush, Run

ROWS_AT_ONCE = 500
EPOCHS_AT_ONCE = 1000


@dataclass(frozen=True)
class Change:
    """Something that happened to the experiment, to a job, or (`of_runs`) to a run.

    `runs` is how many moved with their job, or changed alike where no run is named.
    """

    seq: int
    kind: str
    status: Status | None
    reason: str | None
    job_id: UUID | None
    of_runs: bool
    run_id: UUID | None
    runs: int | None
    at: float


@dataclass(frozen=True)
class Followed:
    """A run that is followed: where it trains, and whether an earlier result answered it.

    `left` has jobs that were split while it was in them, each with the sequence number at which it left.
    """

    id: UUID
    job_id: UUID
    is_reused: bool
    left: Mapping[UUID, int]

    def is_in(self, flush: Flush) -> bool:
        """Whether the run was in the job when it stored this."""
        return flush.job_id == self.job_id or flush.seq < self.left.get(flush.job_id, 0)


@dataclass(frozen=True)
class Happened:
    """Flushes and changes in order, and up to which sequence number they are all there are."""

    upto: int
    flushes: list[Flush]
    changes: list[Change]


def first_runs(session: Session, experiment_id: UUID, limit: int) -> list[UUID]:
    """Return the ids of the experiment's first runs, in order of number."""
    query = select(Run.id).where(Run.experiment_id == experiment_id).order_by(Run.number).limit(limit)
    return list(session.scalars(query))


def followed(session: Session, experiment_id: UUID, run_ids: Collection[UUID], since: int = 0) -> list[Followed]:
    """Return those of the runs that are the experiment's, with the jobs that they left after a sequence number."""
    columns = (Run.id, Run.job_id, Run.reused_from.is_not(None))
    query = select(*columns).where(Run.id.in_(list(run_ids)), Run.experiment_id == experiment_id)
    leaving = select(Event).where(
        Event.experiment_id == experiment_id,
        Event.seq > since,  # of those that follow a long experiment live, few are looked at
        Event.kind == SPLIT,
        Event.run_id.in_(list(run_ids)),
    )
    left: defaultdict[UUID, dict[UUID, int]] = defaultdict(dict)
    for event in session.scalars(leaving):
        if event.run_id is not None and event.job_id is not None:
            left[event.run_id][event.job_id] = event.seq
    return [Followed(*row, left[row.id]) for row in session.execute(query)]


def happened(
    session: Session,
    experiment_id: UUID,
    run_ids: Collection[UUID],
    *,
    flushes_after: int,
    changes_after: int,
    upto: int,
) -> Happened:
    """Return the flushes and changes after these sequence numbers, up to another, but no more than fit into memory.

    Runs that are not among `run_ids` are counted where they changed alike, under the same sequence number.
    """
    within = (Flush.experiment_id == experiment_id, Flush.seq > flushes_after, Flush.seq <= upto)
    flushes = _some(fresh(session, select(Flush).where(*within).order_by(Flush.seq).limit(ROWS_AT_ONCE + 1)))
    if flushes.are_cut:
        upto = flushes.rows[-1].seq
    changes = _changes(session, experiment_id, run_ids, changes_after, upto)
    if len(changes) > ROWS_AT_ONCE:  # some of the last sequence number's may be missing
        first, upto = changes[0].seq, changes[-1].seq - 1
        if upto < first:  # what happened at once is told at once, however much it is
            upto = first
            changes = _changes(session, experiment_id, run_ids, first - 1, first, limit=None)
    return Happened(
        upto,
        [flush for flush in flushes.rows if flush.seq <= upto],
        [change for change in changes if change.seq <= upto],
    )


class _Some(NamedTuple):
    rows: list[Flush]
    are_cut: bool


def _some(flushes: list[Flush]) -> _Some:
    """Take the first of the flushes, but not more epochs than fit; one at least."""
    epochs = list(accumulate(1 + flush.last_epoch - flush.first_epoch for flush in flushes))
    fit = min(max(bisect_right(epochs, EPOCHS_AT_ONCE), 1), ROWS_AT_ONCE)
    return _Some(flushes[:fit], len(flushes) > fit)


def _changes(
    session: Session,
    experiment_id: UUID,
    run_ids: Collection[UUID],
    after: int,
    upto: int,
    limit: int | None = ROWS_AT_ONCE + 1,
) -> list[Change]:
    told = (Event.seq, Event.kind, Event.status, Event.reason, Event.job_id)
    of_runs = Event.run_id.is_not(None)
    named = case((Event.run_id.in_(list(run_ids)), Event.run_id), else_=null())
    event = (
        select(*told, of_runs.label("of_runs"), named.label("run_id"), Event.runs, Event.number, Event.created_at)
        .where(Event.experiment_id == experiment_id, Event.seq > after, Event.seq <= upto)
        .subquery()
        .c
    )
    alike = (event.seq, event.kind, event.status, event.reason, event.job_id, event.of_runs, event.run_id)
    runs = case((event.of_runs & event.run_id.is_(None), func.count()), else_=func.max(event.runs))
    query = select(*alike, runs, func.min(event.created_at)).group_by(*alike)
    rows = session.execute(query.order_by(event.seq, func.min(event.number)).limit(limit))
    return [Change(*row) for row in rows]
