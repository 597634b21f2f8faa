"""Claiming jobs, holding them, and taking them back from workers that leave or die."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Double, Row, bindparam, func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from store.claiming import next_job
from store.clock import database_now
from store.errors import NotFound
from store.history import CRASHED, RESUMED_ELSEWHERE, STATUS_CHANGED, Note, record
from store.statements import change, fresh, rows
from store.status import Status
from store.tables import Experiment, Job, Run
from store.transitions import (
    IS_HELD,
    Held,
    cancel_asked,
    end_job_if_done,
    end_runs_as,
    move_together,
    put_back,
)
from store.transitions import renew as renew

MAX_CRASHES = 3
EXPIRED_AT_ONCE = 100
CPU = "cpu"  # the device that every worker has

# Built once: that takes as long as executing it.
_MEMBERS = (
    select(Run.id, Run.stack_index, Run.spec, Run.epochs_done, Run.status, Run.reused_from.is_not(None))
    .where(Run.job_id == bindparam("of_job"))
    .order_by(Run.stack_index)
)
_BIND = (
    update(Job)
    .where(Job.id == bindparam("of_job"))
    .values(device=bindparam("to_device"), threads=bindparam("to_threads"))
)
_REQUEST_ID = select(Experiment.request_id).where(Experiment.id == bindparam("experiment"))
_HOLDERS = select(Job.worker, Job.id, Job.experiment_id, Job.owner).where(Job.status == Status.RUNNING)


class Holding(NamedTuple):
    """A job that a worker holds."""

    job_id: UUID
    experiment_id: UUID
    owner: str


@dataclass(frozen=True)
class ClaimedRun:
    """A member of a claimed stack. Final members are members too: they keep their column and are masked.

    Except those that took an earlier result (`reused`): they were never trained here, so the stack never had them.
    """

    run_id: UUID
    index: int  # its column
    spec: dict[str, Any]
    stored_epoch: int  # the last one stored; 0 = none
    status: Status
    reused: bool
    result_key: str | None = None  # what names its result, if the worker knows


@dataclass(frozen=True)
class Claim(Held):
    """A job that a worker holds, with what it needs to train it: on `device`, with `threads` threads."""

    queue: str
    worker: str
    device: str
    threads: int
    claims: int
    runs: tuple[ClaimedRun, ...]
    request_id: str | None = None  # of the request that submitted it


def claim(
    session: Session, *, worker: str, queues: Sequence[str], lease_seconds: float, device: str, threads: int
) -> Claim | None:
    """Claim the best queued job of the queues for this worker, or return None when there is none to be had.

    Best is the highest priority, then the owner whose turn it is (store.claiming), then the oldest. No two claims get
    the same job; each gets a greater fence. The job's unfinished runs become running.

    Device and threads decide the bits of a training, so those of the first claim stay the job's and are returned; a
    worker can run with any number of threads, and on its CPU. When it has another device, the job takes its device and
    threads, and an event `resumed_elsewhere` says so.
    """
    is_locking = session.get_bind().dialect.name == "postgresql"
    taking = {"by": worker, "lease_seconds": lease_seconds}
    row = change(session, _taking(tuple(queues), skip_locked=is_locking), taking).one_or_none()
    if row is None:
        return None
    moved = move_together(session, row.id, Status.QUEUED, Status.RUNNING)
    notes = [Note(STATUS_CHANGED, f"claimed by {worker}", row.id, None, Status.RUNNING, Status.QUEUED, moved)]
    is_kept = row.device in (device, CPU)
    device = row.device if is_kept else device
    if is_kept and row.threads is not None:
        threads = row.threads
    else:
        notes += _moved_elsewhere(row, device, threads)
        change(session, _BIND, {"of_job": row.id, "to_device": device, "to_threads": threads})
    record(session, row.experiment_id, notes)
    return Claim(
        job_id=row.id,
        experiment_id=row.experiment_id,
        fence=row.fence,
        queue=row.queue,
        worker=worker,
        device=device,
        threads=threads,
        claims=row.claims,
        runs=_members(session, row.id),
        request_id=rows(session, _REQUEST_ID, {"experiment": row.experiment_id}).scalar_one(),
    )


def _members(session: Session, job_id: UUID) -> tuple[ClaimedRun, ...]:
    return tuple(ClaimedRun(*row) for row in rows(session, _MEMBERS, {"of_job": job_id}))


@cache
def _taking(queues: tuple[str, ...], *, skip_locked: bool) -> ReturningUpdate[*tuple[Any, ...]]:
    """Return the statement that takes the next job of the queues, if there is one."""
    return (
        update(Job)
        .where(Job.id == next_job(queues, skip_locked=skip_locked), Job.status == Status.QUEUED)
        .values(
            status=Status.RUNNING,
            worker=bindparam("by"),
            lease_until=database_now() + bindparam("lease_seconds", type_=Double()),
            fence=Job.fence + 1,
            claims=Job.claims + 1,
            started_at=func.coalesce(Job.started_at, database_now()),
        )
        .returning(Job.id, Job.experiment_id, Job.queue, Job.fence, Job.claims, Job.device, Job.threads)
    )


def _moved_elsewhere(row: Row[Any], device: str, threads: int) -> list[Note]:
    if row.threads is None:
        return []
    was, now = f"{row.device} with {row.threads} threads", f"{device} with {threads} threads"
    return [Note(RESUMED_ELSEWHERE, f"was on {was}, goes on on {now}: the last bits may differ", row.id)]


def get(session: Session, job_id: UUID) -> Job:
    """Return the job as it is now; raises NotFound."""
    found = fresh(session, select(Job).where(Job.id == job_id))
    if not found:
        raise NotFound(f"There is no job {job_id}.")
    return found[0]


def queued(session: Session) -> dict[str, int]:
    """Return how many jobs wait, by queue; queues where none does are left out."""
    counted = select(Job.queue, func.count()).where(Job.status == Status.QUEUED).group_by(Job.queue)
    return dict(session.execute(counted).all())


def holders(session: Session) -> dict[str, Holding]:
    """Return what each worker holds, by the names of those that hold a job."""
    held = rows(session, _HOLDERS)
    return {worker: Holding(job_id, experiment_id, owner) for worker, job_id, experiment_id, owner in held if worker}


def give_back(session: Session, claim: Held, reason: str) -> None:
    """Return the job to the queue, as a worker does that shuts down; no crash is counted. Raises LeaseLost.

    Runs whose cancel was asked for become cancelled instead of queued.
    """
    put_back(session, claim, reason)


def expire(session: Session, *, max_crashes: int = MAX_CRASHES) -> list[UUID]:
    """Take back the jobs whose lease ran out, a crash counted for each; return their ids.

    Their runs are queued again, or cancelled where that was asked for, or failed after `max_crashes` crashes without
    progress in between. Safe to call from several processes at once: each job is taken back by one of them.
    """
    lost = (Job.status == Status.RUNNING) & (Job.lease_until < database_now())
    return _crash_all(session, lost, "its worker gave no sign of life", max_crashes)


def release_worker(session: Session, worker: str, reason: str, *, max_crashes: int = MAX_CRASHES) -> list[UUID]:
    """Take back at once the jobs of a worker that is known to be dead, as `expire` does; `reason` says how it died."""
    return _crash_all(session, (Job.status == Status.RUNNING) & (Job.worker == worker), reason, max_crashes)


def _crash_all(session: Session, condition: ColumnElement[bool], reason: str, max_crashes: int) -> list[UUID]:
    # By experiment: two processes that sweep at once then take the experiments' locks in the same order.
    query = (
        select(Job.id, Job.experiment_id, Job.fence)
        .where(condition)
        .order_by(Job.experiment_id)
        .limit(EXPIRED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    crashed = [Held(*row) for row in session.execute(query)]
    for held in crashed:
        _crash(session, held, reason, max_crashes)
    return [held.job_id for held in crashed]


def _crash(session: Session, held: Held, reason: str, max_crashes: int) -> None:
    counted = update(Job).where(IS_HELD).values(crashes=Job.crashes + 1).returning(Job.crashes)
    crashes = change(session, counted, held.parameters).scalar_one()
    notes = [Note(CRASHED, f"{reason} (crash {crashes} without progress)", held.job_id)]
    if crashes >= max_crashes:
        _give_up(session, held, reason, crashes, notes)
    else:
        put_back(session, held, reason, notes)


def _give_up(session: Session, held: Held, reason: str, crashes: int, notes: Iterable[Note]) -> None:
    detail = f"Its worker died {crashes} times without progress in between; the last time: {reason}."
    error = {"kind": "crashed", "detail": detail}
    ended = [
        *notes,
        *cancel_asked(session, held.job_id),
        *end_runs_as(session, held.job_id, Status.RUNNING, Status.FAILED, detail, error=error),
    ]
    record(session, held.experiment_id, ended + end_job_if_done(session, held.job_id))
