"""Storing what training yielded: one short transaction that is also the sign of life and the look for cancels."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import BindParameter, Integer, Uuid, bindparam, insert, select, update
from sqlalchemy.orm import Session

from store.bulk import given, given_table
from store.clock import database_now
from store.curves import Segment, insert_segments
from store.history import record
from store.statements import change, rows
from store.status import Status
from store.tables import Flush, Job, Run
from store.transitions import Held, renew

_OF_JOB: BindParameter[UUID] = bindparam("of_job")
_RUNNING = select(Run.id, Run.epochs_done, Run.cancel_requested).where(
    Run.job_id == _OF_JOB, Run.status == Status.RUNNING
)
_LAST = given_table({"run": Uuid(), "epoch": Integer()})
_ADVANCE_RUNS = update(Run).where(Run.id == _LAST.c.run).values(epochs_done=_LAST.c.epoch)
_RECORD = insert(Flush).values(created_at=database_now())
_FORGET_CRASHES = update(Job).where(Job.id == _OF_JOB).values(crashes=0)


def write(session: Session, claim: Held, segments: Sequence[Segment], lease_seconds: float) -> set[UUID]:
    """Store the segments and renew the lease; return the runs whose cancel was asked for.

    Of each run, what is stored already is left out, so its epochs stay unique however often they are trained; so are
    runs that are final. New epochs are progress: they reset the job's crashes and advance the experiment's sequence.
    Without any this only renews and looks. Raises LeaseLost, and then nothing is stored.
    """
    renew(session, claim, lease_seconds)
    running = rows(session, _RUNNING, {"of_job": claim.job_id}).all()
    stored = {run_id: epochs_done for run_id, epochs_done, _ in running}
    fresh = [part for segment in segments if (part := _unstored(segment, stored)) is not None]
    if fresh:
        _store(session, claim, fresh, stored)
    return {run_id for run_id, _, cancel_requested in running if cancel_requested}


def _unstored(segment: Segment, stored: Mapping[UUID, int]) -> Segment | None:
    if segment.run_id not in stored:
        return None
    part = segment.after(stored[segment.run_id])
    return part if part.epochs.size else None


def _store(session: Session, claim: Held, segments: Sequence[Segment], stored: Mapping[UUID, int]) -> None:
    insert_segments(session, segments)
    last = {segment.run_id: segment.last_epoch for segment in segments}
    change(session, _ADVANCE_RUNS, given(last.items()))
    change(session, _FORGET_CRASHES, {"of_job": claim.job_id})
    seq = record(session, claim.experiment_id, [], epochs=sum(epoch - stored[run_id] for run_id, epoch in last.items()))
    record_flush(session, claim, seq, min(segment.first_epoch for segment in segments), max(last.values()))


def record_flush(session: Session, claim: Held, seq: int, first_epoch: int, last_epoch: int) -> None:
    """Note that epochs of the job's runs were stored under this sequence number of the experiment."""
    flush = {
        "experiment_id": claim.experiment_id,
        "seq": seq,
        "job_id": claim.job_id,
        "first_epoch": first_epoch,
        "last_epoch": last_epoch,
    }
    change(session, _RECORD, flush)
