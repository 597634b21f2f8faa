"""The state machine of runs and jobs: every change of status is a compare-and-set UPDATE, all here but a job's claim.

    queued → running → succeeded | failed | cancelled
    queued → cancelled
    running → queued, when a worker leaves or dies

An UPDATE names the status it moves from, and what a worker does the fence it holds, so of two that race one finds no
row and has changed nothing. A final status is never moved from, so it never changes.

Locks are taken in the order job, its runs, experiment; whoever changes runs holds their job's row first. So no two
transactions wait for each other, and a job's runs stand still while its end is decided.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ColumnExpressionArgument, bindparam, delete, exists, func, select, update
from sqlalchemy.orm import Session

from store.clock import database_now
from store.errors import LeaseLost
from store.history import STATUS_CHANGED, Note, record
from store.statements import change, finite
from store.status import FINAL, UNFINISHED, Status, combined
from store.tables import Checkpoint, Job, Run

CANCELLED_ON_REQUEST = "its cancel was asked for"


@dataclass(frozen=True)
class Held:
    """A job as one claim holds it: whoever's fence is older has lost it."""

    job_id: UUID
    experiment_id: UUID
    fence: int

    def matches(self) -> ColumnElement[bool]:
        """Return the condition that the job is still held under this fence."""
        return (Job.id == self.job_id) & (Job.fence == self.fence) & (Job.status == Status.RUNNING)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its final status, its summary metrics and, when it failed, {"kind", "detail"}.

    Numbers that are not finite are stored as null. Raises ValueError when the status is not a final one.
    """

    run_id: UUID
    status: Status
    summary: Mapping[str, Any]
    error: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.status not in FINAL:
            raise ValueError(f"a run cannot end as {self.status}")

    @property
    def reason(self) -> str | None:
        """Why it ended so; nothing when it simply succeeded."""
        if self.error is not None and "detail" in self.error:
            return str(self.error["detail"])
        return CANCELLED_ON_REQUEST if self.status == Status.CANCELLED else None

    def parameters(self) -> dict[str, object]:
        """Return what `end_runs` writes."""
        summary, error = finite(self.summary), finite(self.error)
        return {"run": self.run_id, "new_status": self.status, "new_summary": summary, "new_error": error}


def update_held(session: Session, held: Held, **values: object) -> None:
    """Change columns of a held job, which locks it until the transaction ends; raises LeaseLost when it is lost."""
    statement = update(Job).where(held.matches()).values(**values).returning(Job.id)
    if change(session, statement).one_or_none() is None:
        raise LeaseLost(f"Job {held.job_id} is no longer held under fence {held.fence}.")


def lock_held(session: Session, held: Held) -> None:
    """Lock a held job until the transaction ends; raises LeaseLost when it is lost."""
    query = select(Job.id).where(held.matches()).with_for_update()  # SQLite locks when the transaction begins
    if session.execute(query).one_or_none() is None:
        raise LeaseLost(f"Job {held.job_id} is no longer held under fence {held.fence}.")


def move_runs(
    session: Session,
    job_id: UUID,
    before: Status,
    status: Status,
    reason: str | None,
    *conditions: ColumnExpressionArgument[bool],
    **values: object,
) -> list[Note]:
    """Move the job's runs that are `before` and meet the conditions to `status`; return a note for each that moved."""
    if status is Status.RUNNING:
        values["started_at"] = func.coalesce(Run.started_at, database_now())
    elif status in FINAL:
        values["finished_at"] = database_now()
    statement = (
        update(Run)
        .where(Run.job_id == job_id, Run.status == before, *conditions)
        .values(status=status, **values)
        .returning(Run.id, Run.stack_index)
    )
    moved = sorted(change(session, statement).all(), key=lambda row: row.stack_index)
    return [Note(STATUS_CHANGED, reason, job_id, row.id, status, before) for row in moved]


def end_runs(session: Session, job_id: UUID, outcomes: Iterable[Outcome]) -> list[Note]:
    """End those of the runs that are running, each in its own way; return a note for each.

    The caller holds the job, so what is found running here still is when one statement updates all of them.
    """
    by_run = {outcome.run_id: outcome for outcome in outcomes}
    running = select(Run.id).where(Run.job_id == job_id, Run.status == Status.RUNNING, Run.id.in_(by_run))
    ending = [by_run[run_id] for run_id in session.scalars(running.order_by(Run.stack_index))]
    statement = (
        update(Run)
        .where(Run.id == bindparam("run"), Run.status == Status.RUNNING)
        .values({name: bindparam(f"new_{name}") for name in ("status", "summary", "error")})
        .values(finished_at=database_now())
    )
    if ending:
        session.connection().execute(statement, [outcome.parameters() for outcome in ending])
    return [Note(STATUS_CHANGED, end.reason, job_id, end.run_id, end.status, Status.RUNNING) for end in ending]


def move_job(session: Session, job_id: UUID, before: Iterable[Status], status: Status, **values: object) -> bool:
    """Move the job to `status` if it is one of `before`; return whether it was."""
    statement = (
        update(Job).where(Job.id == job_id, Job.status.in_(before)).values(status=status, **values).returning(Job.id)
    )
    return change(session, statement).one_or_none() is not None


def put_back(session: Session, held: Held, reason: str, notes: Iterable[Note] = ()) -> None:
    """Return a held job to the queue: its running runs become queued, or cancelled where that was asked for."""
    lock_held(session, held)
    moved = [
        *notes,
        *move_runs(session, held.job_id, Status.RUNNING, Status.CANCELLED, CANCELLED_ON_REQUEST, Run.cancel_requested),
        *move_runs(session, held.job_id, Status.RUNNING, Status.QUEUED, reason),
    ]
    moved += end_job_if_done(session, held.job_id)
    if move_job(session, held.job_id, [Status.RUNNING], Status.QUEUED, worker=None, lease_until=None):
        moved.append(Note(STATUS_CHANGED, reason, held.job_id, status=Status.QUEUED))
    record(session, held.experiment_id, moved)


def end_job_if_done(session: Session, job_id: UUID) -> list[Note]:
    """End the job when all its runs are final, and drop what it would have resumed from; the caller holds its row."""
    unfinished = exists().where(Run.job_id == job_id, Run.status.in_(UNFINISHED))
    if session.execute(select(unfinished)).scalar_one():
        return []
    by_status = select(Run.status, func.count()).where(Run.job_id == job_id).group_by(Run.status)
    counts = dict(session.execute(by_status).all())
    status = combined(counts)
    if not move_job(session, job_id, UNFINISHED, status, lease_until=None, finished_at=database_now()):
        return []
    change(session, delete(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.run_id.is_(None)))
    return [Note(STATUS_CHANGED, "its last run ended", job_id, status=status)]
