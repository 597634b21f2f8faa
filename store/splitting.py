"""Cutting a job in two when its stack does not fit where it was to train."""

from uuid import UUID

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.orm import Session

from store.history import SPLIT, STATUS_CHANGED, Note
from store.identifiers import new_id
from store.statements import change
from store.status import FINAL, Status
from store.tables import Checkpoint, Job, Run
from store.transitions import Held, cancel_asked, lock_held, put_back

LIKE_BEFORE = ("experiment_id", "owner", "queue", "priority", "device", "threads", "created_at")


def split(session: Session, claim: Held, reason: str) -> None:
    """Queue the unfinished runs of a held job again as two jobs, in halves that keep their order; raises LeaseLost.

    Both begin anew, for what the job would have resumed from was of the whole stack. Curves that are stored stay, and
    their epochs are not stored twice. Final runs stay in the job they ended in; where there is none, it keeps the first
    half. Runs whose cancel was asked for become cancelled. A new job has the old one's place in the queue.
    """
    lock_held(session, claim)
    notes = cancel_asked(session, claim.job_id)
    of_job = Run.job_id == claim.job_id
    running = select(Run.stack_index).where(of_job, Run.status == Status.RUNNING)
    columns = session.scalars(running.order_by(Run.stack_index)).all()
    halves = [columns[: (len(columns) + 1) // 2], columns[(len(columns) + 1) // 2 :]]
    has_final = session.execute(select(exists().where(of_job, Run.status.in_(FINAL)))).scalar_one()
    for half in halves if has_final else halves[1:]:
        if half:
            notes += _move(session, claim, half[0], half[-1], reason)
    change(session, delete(Checkpoint).where(Checkpoint.job_id == claim.job_id, Checkpoint.run_id.is_(None)))
    put_back(session, claim, reason, notes)


def _move(session: Session, claim: Held, first: int, last: int, reason: str) -> list[Note]:
    """Move the running runs of these columns into a queued job of their own; return what happened to them."""
    job_id = _like(session, claim.job_id)
    moved = (
        update(Run)
        .where(Run.job_id == claim.job_id, Run.status == Status.RUNNING, Run.stack_index.between(first, last))
        .values(job_id=job_id, status=Status.QUEUED)
        .returning(Run.id, Run.stack_index)
    )
    runs = sorted(change(session, moved).all(), key=lambda row: row.stack_index)
    theirs = Checkpoint.run_id.in_(select(Run.id).where(Run.job_id == job_id))
    change(session, update(Checkpoint).where(theirs).values(job_id=job_id))
    left = [Note(SPLIT, reason, claim.job_id, run.id) for run in runs]
    return left + [Note(STATUS_CHANGED, reason, job_id, run.id, Status.QUEUED, Status.RUNNING) for run in runs]


def _like(session: Session, job_id: UUID) -> UUID:
    """Make a queued job like this one, which nobody has claimed yet; return its id."""
    columns = [getattr(Job, name) for name in LIKE_BEFORE]
    row = session.execute(select(*columns).where(Job.id == job_id)).one()
    new = new_id()
    session.execute(insert(Job).values(id=new, status=Status.QUEUED, **row._mapping))
    return new
