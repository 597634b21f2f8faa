"""Checkpoints as bytes in chunks: the weights of runs, and the states that jobs resume from."""

import hashlib
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import Session

from store.clock import read_clock
from store.errors import CheckpointDamaged, NotFound
from store.history import CHECKPOINT_DAMAGED, Note, record
from store.identifiers import new_id
from store.statements import change, fresh
from store.tables import Checkpoint, CheckpointChunk, Job
from store.transitions import Held, lock_held

CHUNK_BYTES = 64 * 2**20
STATES_KEPT = 2  # the newest, and the one before in case the newest is damaged

Kind = Literal["state", "last", "best", "epoch"]


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint whose bytes are those that were stored: their size and sha256 (hex) were compared."""

    data: bytes
    sha256: str
    epoch: int
    size: int
    kind: str


def put(session: Session, claim: Held, *, run_id: UUID | None, kind: Kind, epoch: int, data: bytes) -> None:
    """Store a checkpoint: of a run, or (run_id None, kind "state") what the job resumes from. Raises LeaseLost.

    It takes the place of the run's earlier one of that kind, and of that epoch for kind "epoch"; of states the one
    before is kept too. A state of a later epoch is progress and resets the job's crashes. Store an epoch's segments
    before its checkpoint: what is resumed must not lie beyond the curve.
    """
    if (run_id is None) != (kind == "state"):
        raise ValueError("a state belongs to the job, every other checkpoint to a run")
    lock_held(session, claim)
    if run_id is None:
        _make_room_for_state(session, claim.job_id, epoch)
    else:
        _delete_replaced(session, run_id, kind, epoch)
    checkpoint_id = new_id()
    session.execute(
        insert(Checkpoint).values(
            id=checkpoint_id,
            job_id=claim.job_id,
            run_id=run_id,
            kind=kind,
            epoch=epoch,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            created_at=read_clock(session),
        )
    )
    _write_chunks(session, checkpoint_id, data)


def _write_chunks(session: Session, checkpoint_id: UUID, data: bytes) -> None:
    for number, start in enumerate(range(0, len(data), CHUNK_BYTES)):
        chunk = data[start : start + CHUNK_BYTES]
        session.execute(insert(CheckpointChunk).values(checkpoint_id=checkpoint_id, number=number, data=chunk))


def _make_room_for_state(session: Session, job_id: UUID, epoch: int) -> None:
    states = _states(session, job_id)
    if not states or epoch > states[0].epoch:
        change(session, update(Job).where(Job.id == job_id).values(crashes=0))
    for old in states[STATES_KEPT - 1 :]:
        change(session, delete(Checkpoint).where(Checkpoint.id == old.id))


def _delete_replaced(session: Session, run_id: UUID, kind: Kind, epoch: int) -> None:
    replaced = delete(Checkpoint).where(Checkpoint.run_id == run_id, Checkpoint.kind == kind)
    change(session, replaced.where(Checkpoint.epoch == epoch) if kind == "epoch" else replaced)


def get(session: Session, run_id: UUID, which: Literal["last", "best"] | int) -> StoredCheckpoint:
    """Return the run's last or best checkpoint, or any of this epoch; raises NotFound and CheckpointDamaged."""
    wanted: ColumnElement[bool] = Checkpoint.epoch == which if isinstance(which, int) else Checkpoint.kind == which
    query = select(Checkpoint).where(Checkpoint.run_id == run_id, wanted).order_by(Checkpoint.id.desc()).limit(1)
    found = fresh(session, query)
    if not found:
        wanted_name = f"of epoch {which}" if isinstance(which, int) else f'"{which}"'
        raise NotFound(f"Run {run_id} has no checkpoint {wanted_name}.")
    return _load(session, found[0])


def of_run(session: Session, run_id: UUID) -> list[Checkpoint]:
    """Return what is stored of the run, by epoch, without the bytes."""
    query = select(Checkpoint).where(Checkpoint.run_id == run_id).order_by(Checkpoint.epoch, Checkpoint.id)
    return fresh(session, query)


def latest_state(session: Session, job_id: UUID) -> StoredCheckpoint | None:
    """Return what the job resumes from, or None when it has to start from the beginning.

    A damaged state is deleted, an event says so, and the one before is used: call it in a transaction that writes.
    """
    for state in _states(session, job_id):
        try:
            return _load(session, state)
        except CheckpointDamaged as damage:
            _drop_damaged(session, state, str(damage))
    return None


def _states(session: Session, job_id: UUID) -> list[Checkpoint]:
    query = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.run_id.is_(None))
    return fresh(session, query.order_by(Checkpoint.id.desc()))


def _drop_damaged(session: Session, state: Checkpoint, detail: str) -> None:
    experiment_id = session.execute(select(Job.experiment_id).where(Job.id == state.job_id)).scalar_one()
    change(session, delete(Checkpoint).where(Checkpoint.id == state.id))
    record(session, experiment_id, [Note(CHECKPOINT_DAMAGED, f"{detail} The one before is used.", state.job_id)])


def _load(session: Session, checkpoint: Checkpoint) -> StoredCheckpoint:
    chunks = select(CheckpointChunk.data).where(CheckpointChunk.checkpoint_id == checkpoint.id)
    data = b"".join(session.scalars(chunks.order_by(CheckpointChunk.number)))
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != checkpoint.sha256:
        raise CheckpointDamaged(f"The stored {checkpoint.kind} checkpoint of epoch {checkpoint.epoch} is damaged.")
    return StoredCheckpoint(data, sha256, checkpoint.epoch, checkpoint.size, checkpoint.kind)
