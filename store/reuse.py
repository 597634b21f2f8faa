"""Answering runs with the results of earlier ones that were the same training, so that nothing is trained twice.

What makes two trainings the same is the caller's to say, as a key; the store looks the key up among the results of the
same owner. The copying is done inside the database: the bytes pass through no process.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CTE, String, Uuid, exists, func, insert, literal, select, update
from sqlalchemy.orm import Session, aliased
from sqlalchemy.types import TypeEngine

from store import flushes
from store.bulk import as_table
from store.clock import database_now, read_clock
from store.history import STATUS_CHANGED, Note, record
from store.identifiers import new_id
from store.statements import change
from store.status import Status
from store.tables import Checkpoint, CheckpointChunk, CurveSegment, Run
from store.transitions import Held, end_job_if_done, lock_held


class _Copy(NamedTuple):
    """What a run takes: the result of `source`, which itself came from `original`, and the epochs that this lacks."""

    run: UUID
    source: UUID
    original: UUID
    key: str
    epochs: int
    skipped: int


def reuse_earlier(session: Session, claim: Held, keys: Mapping[UUID, str]) -> set[UUID]:
    """End those of the claimed job's running runs that an earlier result answers; return them.

    `keys` has the result key of each run that may be answered so. The newest succeeded run of the same owner with the
    run's key is the source: its curve, summary and checkpoints are copied bit for bit, `reused_from` names the run that
    was trained. The job ends by itself when no run is left, the experiment with its last job.

    A job that has trained already, so far that something of it is stored, keeps its stack as it is: then nothing is
    reused. Raises LeaseLost.
    """
    lock_held(session, claim)
    if not keys or _has_trained(session, claim):
        return set()
    copies = _found(session, claim, keys)
    if copies:
        _end(session, copies)
        _copy_curves(session, copies)
        _copy_checkpoints(session, claim, copies)
        _tell(session, claim, copies)
    return {copy.run for copy in copies}


def _has_trained(session: Session, claim: Held) -> bool:
    epochs = exists().where(Run.job_id == claim.job_id, Run.epochs_done > 0, Run.reused_from.is_(None))
    state = exists().where(Checkpoint.job_id == claim.job_id, Checkpoint.run_id.is_(None))
    return session.execute(select(epochs | state)).scalar_one()


def _found(session: Session, claim: Held, keys: Mapping[UUID, str]) -> list[_Copy]:
    given = as_table(session, {"run": Uuid(), "key": String()}, list(keys.items()))
    earlier, source = aliased(Run), aliased(Run)
    newest = (
        select(earlier.id)
        .where(earlier.owner == Run.owner, earlier.result_key == given.c.key, earlier.status == Status.SUCCEEDED)
        .order_by(earlier.id.desc())
        .limit(1)
        .correlate(Run, given)
        .scalar_subquery()
    )
    query = (
        select(
            Run.id,
            source.id,
            func.coalesce(source.reused_from, source.id),
            given.c.key,
            source.epochs_done,
            Run.epochs - source.epochs_done,
        )
        .join(given, given.c.run == Run.id)
        .join(source, source.id == newest)
        .where(Run.job_id == claim.job_id, Run.status == Status.RUNNING)
        .order_by(Run.stack_index)
        .with_for_update(read=True, key_share=True, of=source)  # so that nobody deletes what is being copied
    )
    return [_Copy(*row) for row in session.execute(query)]


def _as_table(session: Session, copies: Sequence[_Copy]) -> CTE:
    types: dict[str, TypeEngine[Any]] = {"run": Uuid(), "source": Uuid(), "original": Uuid(), "key": String()}
    return as_table(session, types, [copy[:4] for copy in copies])


def _end(session: Session, copies: Sequence[_Copy]) -> None:
    given, source = _as_table(session, copies), Run.__table__.alias("source")
    statement = (
        update(Run)
        .where(Run.id == given.c.run, Run.status == Status.RUNNING, source.c.id == given.c.source)
        .values(
            status=Status.SUCCEEDED,
            summary=source.c.summary,
            epochs_done=source.c.epochs_done,
            result_key=given.c.key,
            reused_from=given.c.original,
            finished_at=database_now(),
        )
    )
    change(session, statement)


def _copy_curves(session: Session, copies: Sequence[_Copy]) -> None:
    given = _as_table(session, copies)
    copied = {column.name: column for column in CurveSegment.__table__.c} | {"run_id": given.c.run}
    query = select(*copied.values()).join_from(given, CurveSegment, CurveSegment.run_id == given.c.source)
    session.execute(insert(CurveSegment).from_select(list(copied), query))


def _copy_checkpoints(session: Session, claim: Held, copies: Sequence[_Copy]) -> None:
    given = _as_table(session, copies)
    query = select(given.c.run, Checkpoint.id).join_from(given, Checkpoint, Checkpoint.run_id == given.c.source)
    found = session.execute(query.order_by(Checkpoint.id)).all()
    rows = [(run_id, checkpoint_id, new_id()) for run_id, checkpoint_id in found]
    new = as_table(session, {"run": Uuid(), "source": Uuid(), "id": Uuid()}, rows)
    copied = {column.name: column for column in Checkpoint.__table__.c} | {
        "id": new.c.id,
        "job_id": literal(claim.job_id),
        "run_id": new.c.run,
        "created_at": literal(read_clock(session)),
    }
    query = select(*copied.values()).join_from(new, Checkpoint, Checkpoint.id == new.c.source)
    session.execute(insert(Checkpoint).from_select(list(copied), query))
    copied = {column.name: column for column in CheckpointChunk.__table__.c} | {"checkpoint_id": new.c.id}
    query = select(*copied.values()).join_from(new, CheckpointChunk, CheckpointChunk.checkpoint_id == new.c.source)
    session.execute(insert(CheckpointChunk).from_select(list(copied), query))


def _tell(session: Session, claim: Held, copies: Sequence[_Copy]) -> None:
    notes = [_note(claim, copy) for copy in copies]
    notes += end_job_if_done(session, claim.job_id)
    seq = record(session, claim.experiment_id, notes, epochs=sum(copy.epochs for copy in copies), reused=True)
    given = _as_table(session, copies)
    epochs = func.min(CurveSegment.first_epoch), func.max(CurveSegment.last_epoch)
    first, last = session.execute(select(*epochs).join(given, given.c.run == CurveSegment.run_id)).one()
    if first is not None:
        flushes.record_flush(session, claim, seq, first, last)


def _note(claim: Held, copy: _Copy) -> Note:
    reason = f"reused the result of run {copy.original}"
    return Note(STATUS_CHANGED, reason, claim.job_id, copy.run, Status.SUCCEEDED, Status.RUNNING, skipped=copy.skipped)
