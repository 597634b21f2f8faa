"""Checkpoints as bytes in chunks: the weights of runs, and the states that jobs resume from."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, String, Uuid, delete, select, update
from sqlalchemy.orm import Session

from store.bulk import given, given_table, insert_columns
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


_Chunk = tuple[UUID, int, bytes]
_Slot = tuple[UUID | None, Kind, int | None]


_SLOTS = given_table({"run": Uuid(), "kind": String(), "epoch": Integer()})
_DELETE_SLOTS = delete(Checkpoint).where(
    Checkpoint.id.in_(
        select(Checkpoint.id)
        .join(_SLOTS, Checkpoint.run_id == _SLOTS.c.run)
        .where(Checkpoint.kind == _SLOTS.c.kind, _SLOTS.c.epoch.is_(None) | (Checkpoint.epoch == _SLOTS.c.epoch))
    )
)


@dataclass(frozen=True)
class NewCheckpoint:
    """Bytes to store: a run's weights after `epoch`, or (run_id None, kind "state") what the job resumes from.

    Raises ValueError when a state names a run, or another kind none.
    """

    run_id: UUID | None
    kind: Kind
    epoch: int
    data: bytes

    def __post_init__(self) -> None:
        if (self.run_id is None) != (self.kind == "state"):
            raise ValueError("a state belongs to the job, every other checkpoint to a run")

    @property
    def slot(self) -> _Slot:
        """What there is one checkpoint of: the run's of a kind, and for kind "epoch" of an epoch."""
        return self.run_id, self.kind, self.epoch if self.kind == "epoch" else None


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint whose bytes are those that were stored: their size and sha256 (hex) were compared."""

    data: bytes
    sha256: str
    epoch: int
    size: int
    kind: str


def put(session: Session, claim: Held, *, run_id: UUID | None, kind: Kind, epoch: int, data: bytes) -> None:
    """Store one checkpoint as `put_all` does. Raises LeaseLost."""
    put_all(session, claim, [NewCheckpoint(run_id, kind, epoch, data)])


def put_all(session: Session, claim: Held, items: Sequence[NewCheckpoint]) -> None:
    """Store checkpoints of runs, or what the job resumes from. Raises LeaseLost.

    Each takes the place of its run's earlier one of that kind, and of that epoch for kind "epoch"; of states the one
    before is kept too. A state of a later epoch is progress and resets the job's crashes. Store an epoch's segments
    before its checkpoint: what is resumed must not lie beyond the curve.
    """
    lock_held(session, claim)
    last = {item.slot: item for item in items if item.run_id is not None}
    states = [item for item in items if item.run_id is None]
    change(session, _DELETE_SLOTS, given(last))
    _insert(session, claim.job_id, list(last.values()))
    for state in states:
        _make_room_for_state(session, claim.job_id, state.epoch)
        _insert(session, claim.job_id, [state])


def _insert(session: Session, job_id: UUID, items: Sequence[NewCheckpoint]) -> None:
    ids = [new_id() for _ in items]
    columns: dict[str, list[Any]] = {
        "id": ids,
        "run_id": [item.run_id for item in items],
        "kind": [item.kind for item in items],
        "epoch": [item.epoch for item in items],
        "size": [len(item.data) for item in items],
        "sha256": [hashlib.sha256(item.data).hexdigest() for item in items],
    }
    insert_columns(session, Checkpoint, {"job_id": job_id, "created_at": read_clock(session)}, columns)
    for chunks in _by_weight(_chunks(zip(ids, items, strict=True))):
        names = ("checkpoint_id", "number", "data")
        insert_columns(session, CheckpointChunk, {}, dict(zip(names, zip(*chunks, strict=True), strict=True)))


def _chunks(items: Iterable[tuple[UUID, NewCheckpoint]]) -> Iterator[_Chunk]:
    for checkpoint_id, item in items:
        for number, start in enumerate(range(0, len(item.data), CHUNK_BYTES)):
            yield checkpoint_id, number, item.data[start : start + CHUNK_BYTES]


def _by_weight(chunks: Iterable[_Chunk]) -> Iterator[list[_Chunk]]:
    """Yield the chunks in lists of about CHUNK_BYTES at most: the database's driver copies what a statement takes."""
    batch: list[_Chunk] = []
    weight = 0
    for chunk in chunks:
        if batch and weight + len(chunk[2]) > CHUNK_BYTES:
            yield batch
            batch, weight = [], 0
        batch.append(chunk)
        weight += len(chunk[2])
    if batch:
        yield batch


def _make_room_for_state(session: Session, job_id: UUID, epoch: int) -> None:
    states = _states(session, job_id)
    if not states or epoch > states[0].epoch:
        change(session, update(Job).where(Job.id == job_id).values(crashes=0))
    for old in states[STATES_KEPT - 1 :]:
        change(session, delete(Checkpoint).where(Checkpoint.id == old.id))


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
    states = _states(session, job_id)
    for place, state in enumerate(states):
        try:
            return _load(session, state)
        except CheckpointDamaged as damage:
            goes_on = "The one before is used." if states[place + 1 :] else "The training begins anew."
            _drop_damaged(session, state, f"{damage} {goes_on}")
    return None


def _states(session: Session, job_id: UUID) -> list[Checkpoint]:
    query = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.run_id.is_(None))
    return fresh(session, query.order_by(Checkpoint.id.desc()))


def _drop_damaged(session: Session, state: Checkpoint, detail: str) -> None:
    experiment_id = session.execute(select(Job.experiment_id).where(Job.id == state.job_id)).scalar_one()
    change(session, delete(Checkpoint).where(Checkpoint.id == state.id))
    record(session, experiment_id, [Note(CHECKPOINT_DAMAGED, detail, state.job_id)])


def _load(session: Session, checkpoint: Checkpoint) -> StoredCheckpoint:
    chunks = select(CheckpointChunk.data).where(CheckpointChunk.checkpoint_id == checkpoint.id)
    data = b"".join(session.scalars(chunks.order_by(CheckpointChunk.number)))
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != checkpoint.sha256:
        raise CheckpointDamaged(f"The stored {checkpoint.kind} checkpoint of epoch {checkpoint.epoch} is damaged.")
    return StoredCheckpoint(data, sha256, checkpoint.epoch, checkpoint.size, checkpoint.kind)
