"""Answering runs with the results of earlier ones that were the same training, so that nothing is trained twice.

What makes two trainings the same is the caller's to say, as a key; the store looks the key up among the results of the
same owner. The copying is done inside the database: the bytes pass through no process.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Double,
    FromClause,
    Insert,
    String,
    Uuid,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from store import flushes
from store.base import Base
from store.bulk import given, given_table
from store.clock import database_now, read_clock
from store.history import STATUS_CHANGED, Note, record
from store.identifiers import new_id
from store.statements import change, rows
from store.status import Status
from store.tables import Checkpoint, CheckpointChunk, CurveSegment, Experiment, Run
from store.transitions import Held, end_job_if_done, lock_held


class _Copy(NamedTuple):
    """What a run takes: the result of `source`, which itself came from `original`, and the epochs that this lacks."""

    run: UUID
    source: UUID
    original: UUID
    key: str
    epochs: int
    skipped: int


def _copied(table: type[Base], source: FromClause, of_source: ColumnElement[bool], **new: ColumnElement[Any]) -> Insert:
    """Return the statement that copies the rows of a table that belong to the source, with some columns anew."""
    columns = {column.name: column for column in table.__table__.c} | new
    return insert(table).from_select(list(columns), select(*columns.values()).join_from(source, table, of_source))


_OF_JOB: BindParameter[UUID] = bindparam("of_job")
_HAS_TRAINED = select(
    exists().where(Run.job_id == _OF_JOB, Run.epochs_done > 0, Run.reused_from.is_(None))
    | exists().where(Checkpoint.job_id == _OF_JOB, Checkpoint.run_id.is_(None))
)

_KEYS = given_table({"run": Uuid(), "key": String()})
_other, _source, _of_source = aliased(Run), aliased(Run), aliased(Experiment)
_NEWEST = (
    select(_other.id)
    .join(Experiment, Experiment.id == _other.experiment_id)
    .where(Experiment.deleted_at.is_(None))  # of what is deleted, the checkpoints may have gone
    .where(_other.owner == Run.owner, _other.result_key == _KEYS.c.key, _other.status == Status.SUCCEEDED)
    .order_by(_other.id.desc())
    .limit(1)
    .correlate(Run, _KEYS)
    .scalar_subquery()
)
_EARLIER = (
    select(
        Run.id,
        _source.id,
        func.coalesce(_source.reused_from, _source.id),
        _KEYS.c.key,
        _source.epochs_done,
        Run.epochs - _source.epochs_done,
    )
    .join(_KEYS, _KEYS.c.run == Run.id)
    .join(_source, _source.id == _NEWEST)
    .join(_of_source, _of_source.id == _source.experiment_id)
    .where(Run.job_id == _OF_JOB, Run.status == Status.RUNNING, _of_source.deleted_at.is_(None))
    .order_by(Run.stack_index)
    .with_for_update(read=True, key_share=True, of=(_source, _of_source))  # nobody purges what is being copied
)

_COPIES = given_table({"run": Uuid(), "source": Uuid(), "original": Uuid(), "key": String()})
_result = Run.__table__.alias("source")
_END = (
    update(Run)
    .where(Run.id == _COPIES.c.run, Run.status == Status.RUNNING, _result.c.id == _COPIES.c.source)
    .values(
        status=Status.SUCCEEDED,
        summary=_result.c.summary,
        epochs_done=_result.c.epochs_done,
        result_key=_COPIES.c.key,
        reused_from=_COPIES.c.original,
        finished_at=database_now(),
    )
)
_COPY_CURVES = _copied(CurveSegment, _COPIES, CurveSegment.run_id == _COPIES.c.source, run_id=_COPIES.c.run)
_EPOCHS = select(func.min(CurveSegment.first_epoch), func.max(CurveSegment.last_epoch)).join(
    _COPIES, _COPIES.c.run == CurveSegment.run_id
)
_CHECKPOINTS = (
    select(_COPIES.c.run, Checkpoint.id)
    .join_from(_COPIES, Checkpoint, Checkpoint.run_id == _COPIES.c.source)
    .order_by(Checkpoint.id)
)
_NEW = given_table({"run": Uuid(), "source": Uuid(), "id": Uuid()})
_COPY_CHECKPOINTS = _copied(
    Checkpoint,
    _NEW,
    Checkpoint.id == _NEW.c.source,
    id=_NEW.c.id,
    job_id=bindparam("to_job", type_=Uuid()),
    run_id=_NEW.c.run,
    created_at=bindparam("now", type_=Double()),
)
_COPY_CHUNKS = _copied(CheckpointChunk, _NEW, CheckpointChunk.checkpoint_id == _NEW.c.source, checkpoint_id=_NEW.c.id)


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
        change(session, _END, _given(copies))
        change(session, _COPY_CURVES, _given(copies))
        _copy_checkpoints(session, claim, copies)
        _tell(session, claim, copies)
    return {copy.run for copy in copies}


def _has_trained(session: Session, claim: Held) -> bool:
    return rows(session, _HAS_TRAINED, {"of_job": claim.job_id}).scalar_one()


def _found(session: Session, claim: Held, keys: Mapping[UUID, str]) -> list[_Copy]:
    found = rows(session, _EARLIER, {"of_job": claim.job_id, **given(keys.items())})
    return [_Copy(*row) for row in found]


def _given(copies: Sequence[_Copy]) -> dict[str, str]:
    """Return the rows of `_COPIES`."""
    return given(copy[:4] for copy in copies)


def _copy_checkpoints(session: Session, claim: Held, copies: Sequence[_Copy]) -> None:
    found = rows(session, _CHECKPOINTS, _given(copies))
    new = given((run_id, checkpoint_id, new_id()) for run_id, checkpoint_id in found)
    change(session, _COPY_CHECKPOINTS, {**new, "to_job": claim.job_id, "now": read_clock(session)})
    change(session, _COPY_CHUNKS, new)


def _tell(session: Session, claim: Held, copies: Sequence[_Copy]) -> None:
    notes = [_note(claim, copy) for copy in copies]
    notes += end_job_if_done(session, claim.job_id)
    seq = record(session, claim.experiment_id, notes, epochs=sum(copy.epochs for copy in copies), reused=True)
    first, last = rows(session, _EPOCHS, _given(copies)).one()
    if first is not None:
        flushes.record_flush(session, claim, seq, first, last)


def _note(claim: Held, copy: _Copy) -> Note:
    reason = f"reused the result of run {copy.original}"
    return Note(STATUS_CHANGED, reason, claim.job_id, copy.run, Status.SUCCEEDED, Status.RUNNING, skipped=copy.skipped)
