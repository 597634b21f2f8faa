"""Storing what training yielded: one short transaction that is also the sign of life and the look for cancels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from store.clock import database_now, read_clock
from store.curves import Segment
from store.history import record
from store.runs import cancels_asked
from store.statements import change, insert_rows
from store.status import Status
from store.tables import CurveSegment, Flush, Job, Run
from store.transitions import Held, update_held


def write(session: Session, claim: Held, segments: Sequence[Segment], lease_seconds: float) -> set[UUID]:
    """Store the segments and renew the lease; return the runs whose cancel was asked for.

    Of each run, what is stored already is left out, so its epochs stay unique however often they are trained; so are
    runs that are final. New epochs are progress: they reset the job's crashes and advance the experiment's sequence.
    Without any this only renews and looks. Raises LeaseLost, and then nothing is stored.
    """
    update_held(session, claim, lease_until=database_now() + lease_seconds)
    stored = _last_stored(session, claim.job_id)
    fresh = [part for segment in segments if (part := _unstored(segment, stored)) is not None]
    if fresh:
        _store(session, claim, fresh, stored)
    return cancels_asked(session, claim.job_id)


def _last_stored(session: Session, job_id: UUID) -> dict[UUID, int]:
    query = select(Run.id, Run.epochs_done).where(Run.job_id == job_id, Run.status == Status.RUNNING)
    return dict(session.execute(query).all())


def _unstored(segment: Segment, stored: dict[UUID, int]) -> Segment | None:
    if segment.run_id not in stored:
        return None
    part = segment.after(stored[segment.run_id])
    return part if part.epochs.size else None


def _store(session: Session, claim: Held, segments: Sequence[Segment], stored: dict[UUID, int]) -> None:
    rows = [segment.packed() for segment in segments]
    insert_rows(session, CurveSegment, rows)
    last = {row["run_id"]: row["last_epoch"] for row in rows}
    _advance_runs(session, last.items())
    change(session, update(Job).where(Job.id == claim.job_id).values(crashes=0))
    seq = record(session, claim.experiment_id, [], epochs=sum(epoch - stored[run_id] for run_id, epoch in last.items()))
    session.execute(
        insert(Flush).values(
            experiment_id=claim.experiment_id,
            seq=seq,
            job_id=claim.job_id,
            first_epoch=min(row["first_epoch"] for row in rows),
            last_epoch=max(last.values()),
            created_at=read_clock(session),
        )
    )


def _advance_runs(session: Session, last: Iterable[tuple[UUID, int]]) -> None:
    by_epoch: defaultdict[int, list[UUID]] = defaultdict(list)  # one UPDATE for all runs of a stack that go abreast
    for run_id, epoch in last:
        by_epoch[epoch].append(run_id)
    for epoch, run_ids in by_epoch.items():
        change(session, update(Run).where(Run.id.in_(run_ids)).values(epochs_done=epoch))
