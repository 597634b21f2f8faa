"""The state machine of runs and jobs: every change of status is a compare-and-set UPDATE.

    queued → running → succeeded | failed | cancelled
    queued → cancelled
    running → queued, when a worker leaves or dies, and when a stack is split
    failed | cancelled → queued, when somebody asks for a retry

An UPDATE names the status it moves from, and what a worker does the fence it holds, so of two that race one finds no
row and has changed nothing. Those that many share are here, a claim is in `store.jobs`, and others are in
`store.splitting`, `store.retrying` and `store.reuse`.

Locks are taken in the order job, its runs, experiment; whoever changes runs holds their job's row first. So no two
transactions wait for each other, and a job's runs stand still while its end is decided.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnExpressionArgument,
    Double,
    String,
    Update,
    Uuid,
    bindparam,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from store.bulk import given, given_table
from store.clock import database_now
from store.errors import LeaseLost
from store.history import STATUS_CHANGED, Note, record
from store.statements import change, rows
from store.status import FINAL, UNFINISHED, Status, combined
from store.tables import RESULT_KEY_LENGTH, Checkpoint, Job, Run

CANCELLED_ON_REQUEST = "its cancel was asked for"

SKIPPED = (Run.epochs - Run.epochs_done).label("skipped")  # what a run that ends leaves out

OUTCOME: Mapping[str, TypeEngine[Any]] = {
    "run": Uuid(),
    "status": Run.__table__.c.status.type,
    "summary": Run.__table__.c.summary.type,
    "error": Run.__table__.c.error.type,
    "result_key": String(),
}


IS_HELD = (Job.id == bindparam("held_job")) & (Job.fence == bindparam("held_fence")) & (Job.status == Status.RUNNING)


@dataclass(frozen=True)
class Held:
    """A job as one claim holds it: whoever's fence is older has lost it."""

    job_id: UUID
    experiment_id: UUID
    fence: int

    @property
    def parameters(self) -> dict[str, object]:
        """What `IS_HELD` compares with."""
        return {"held_job": self.job_id, "held_fence": self.fence}


_OF_JOB = Run.job_id == bindparam("of_job")
_GIVEN = given_table(OUTCOME)
_END_RUNS = (
    update(Run)
    .where(Run.id == _GIVEN.c.run, _OF_JOB, Run.status == Status.RUNNING)
    .values(finished_at=database_now(), **{name: _GIVEN.c[name] for name in OUTCOME if name != "run"})
    .returning(Run.id, Run.stack_index, SKIPPED)
)
_IS_UNFINISHED = select(exists().where(_OF_JOB, Run.status.in_(UNFINISHED)))
_RUNS_BY_STATUS = select(Run.status, func.count()).where(_OF_JOB).group_by(Run.status)
_END_JOB = (
    update(Job)
    .where(Job.id == bindparam("of_job"), Job.status.in_(UNFINISHED))
    .values(status=bindparam("ended_as"), lease_until=None, finished_at=database_now())
)
_QUEUE_AGAIN = (
    update(Job)
    .where(Job.id == bindparam("of_job"), Job.status == Status.RUNNING)
    .values(status=Status.QUEUED, worker=None, lease_until=None)
)
_DROP_STATES = delete(Checkpoint).where(Checkpoint.job_id == bindparam("of_job"), Checkpoint.run_id.is_(None))


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its final status, its summary metrics and, when it failed, {"kind", "detail"}.

    Numbers that are not finite are stored as null. `result_key` is what later runs of the same owner look up a
    succeeded run by (store.reuse); runs that ended otherwise keep none. Raises ValueError when the status is not a
    final one or the key longer than 64 characters.
    """

    run_id: UUID
    status: Status
    summary: Mapping[str, Any]
    error: Mapping[str, Any] | None = None
    result_key: str | None = None

    def __post_init__(self) -> None:
        if self.status not in FINAL:
            raise ValueError(f"a run cannot end as {self.status}")
        if self.result_key is not None and len(self.result_key) > RESULT_KEY_LENGTH:
            raise ValueError(f"a result key has at most {RESULT_KEY_LENGTH} characters")

    @property
    def reason(self) -> str | None:
        """Why it ended so; nothing when it simply succeeded."""
        if self.error is not None and "detail" in self.error:
            return str(self.error["detail"])
        return CANCELLED_ON_REQUEST if self.status == Status.CANCELLED else None

    def row(self) -> tuple[object, ...]:
        """Return what `end_runs` writes, as a row of `OUTCOME`."""
        key = self.result_key if self.status == Status.SUCCEEDED else None
        return (self.run_id, self.status, self.summary, self.error, key)


_LOCK = select(Job.id).where(IS_HELD).with_for_update()  # SQLite locks when the transaction begins
_RENEW = update(Job).where(IS_HELD).values(lease_until=database_now() + bindparam("lease_seconds", type_=Double()))


def renew(session: Session, held: Held, lease_seconds: float) -> None:
    """Let the lease end this many seconds from now, and lock the job as `lock_held` does; raises LeaseLost.

    A lease that ran out but that nobody took yet is renewed too: nothing was lost.
    """
    _keep(held, change(session, _RENEW, {**held.parameters, "lease_seconds": lease_seconds}).rowcount)


def lock_held(session: Session, held: Held) -> None:
    """Lock a held job until the transaction ends; raises LeaseLost when it is lost."""
    _keep(held, len(rows(session, _LOCK, held.parameters).all()))


def _keep(held: Held, found: int) -> None:
    if not found:
        raise LeaseLost(f"Job {held.job_id} is no longer held under fence {held.fence}.")


def end_runs_as(
    session: Session,
    job_id: UUID,
    before: Status,
    status: Status,
    reason: str | None,
    *conditions: ColumnExpressionArgument[bool],
    **values: object,
) -> list[Note]:
    """End the job's runs that are `before` and meet the conditions, as `status`; return a note for each that did."""
    statement = (
        update(Run)
        .where(Run.job_id == job_id, Run.status == before, *conditions)
        .values(status=status, finished_at=database_now(), **values)
        .returning(Run.id, Run.stack_index, SKIPPED)
    )
    moved = sorted(change(session, statement).all(), key=lambda row: row.stack_index)
    return [Note(STATUS_CHANGED, reason, job_id, row.id, status, before, skipped=row.skipped) for row in moved]


def cancel_asked(session: Session, job_id: UUID) -> list[Note]:
    """Cancel the job's running runs whose cancel was asked for; return a note for each."""
    return end_runs_as(session, job_id, Status.RUNNING, Status.CANCELLED, CANCELLED_ON_REQUEST, Run.cancel_requested)


def move_together(session: Session, job_id: UUID, before: Status, status: Status) -> int:
    """Move all of the job's runs that are `before` to `status`; return how many did, for the note of their job's move.

    Of these moves a job's runs tell nothing of their own: one row for a stack, not one for each of a sweep's runs.
    """
    return change(session, _moving_together(before, status), {"of_job": job_id}).rowcount


@cache
def _moving_together(before: Status, status: Status) -> Update:
    started = {"started_at": func.coalesce(Run.started_at, database_now())} if status is Status.RUNNING else {}
    return update(Run).where(_OF_JOB, Run.status == before).values(status=status, **started)


def end_runs(session: Session, job_id: UUID, outcomes: Iterable[Outcome]) -> list[Note]:
    """End those of the job's runs that are running, each in its own way; return a note for each."""
    by_run = {outcome.run_id: outcome for outcome in outcomes}
    if not by_run:
        return []
    outcome = given(outcome.row() for outcome in by_run.values())
    moved = sorted(change(session, _END_RUNS, {"of_job": job_id, **outcome}).all(), key=lambda row: row.stack_index)
    ends = [(by_run[row.id], row.skipped) for row in moved]
    return [
        Note(STATUS_CHANGED, end.reason, job_id, end.run_id, end.status, Status.RUNNING, skipped=skipped)
        for end, skipped in ends
    ]


def put_back(session: Session, held: Held, reason: str, notes: Iterable[Note] = ()) -> None:
    """Return a held job to the queue: its running runs become queued, or cancelled where that was asked for."""
    lock_held(session, held)
    moved = [*notes, *cancel_asked(session, held.job_id)]
    queued = move_together(session, held.job_id, Status.RUNNING, Status.QUEUED)
    moved += end_job_if_done(session, held.job_id)
    if change(session, _QUEUE_AGAIN, {"of_job": held.job_id}).rowcount:
        moved.append(Note(STATUS_CHANGED, reason, held.job_id, None, Status.QUEUED, Status.RUNNING, queued))
    record(session, held.experiment_id, moved)


def end_job_if_done(session: Session, job_id: UUID) -> list[Note]:
    """End the job when all its runs are final, and drop what it would have resumed from; the caller holds its row."""
    this = {"of_job": job_id}
    if rows(session, _IS_UNFINISHED, this).scalar_one():
        return []
    status = combined(dict(rows(session, _RUNS_BY_STATUS, this).all()))
    if not change(session, _END_JOB, {**this, "ended_as": status}).rowcount:
        return []
    change(session, _DROP_STATES, this)
    return [Note(STATUS_CHANGED, "its last run ended", job_id, status=status)]
