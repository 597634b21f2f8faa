"""Results to reuse, and what is there of them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from store import checkpoints, runs
from store.checkpoints import NewCheckpoint
from store.engine import Database
from store.jobs import Claim
from store.reuse import reuse_earlier
from store.tables import CheckpointChunk, CurveSegment
from tests.store.samples import (
    claim,
    finish,
    store_epochs,
    submit,
)


def reuse(database: Database, held: Claim, keys: Sequence[str]) -> set[int]:
    """Reuse what there is under the keys of the claim's runs; returns the columns of those that were answered."""
    by_run = {member.run_id: key for member, key in zip(held.runs, keys, strict=True)}
    with database.write() as session:
        answered = reuse_earlier(session, held, by_run)
    return {member.index for member in held.runs if member.run_id in answered}


def train(database: Database, *keys: str, **more: Any) -> Claim:
    """Submit a stack, train it and keep its results under these keys."""
    submit(database, len(keys), **more)
    held = claim(database)
    store_epochs(database, held, 1, 3)
    for member, key in zip(held.runs, keys, strict=True):
        keep(database, held, member.run_id, [NewCheckpoint(member.run_id, "last", 3, key.encode())])
        finish(database, held, member.run_id, result_key=key)
    return held


def keep(database: Database, held: Claim, run_id: UUID, items: Sequence[NewCheckpoint]) -> None:
    with database.write() as session:
        checkpoints.put_all(session, held, items)


def last_weights(database: Database, run_id: UUID) -> bytes:
    with database.read() as session:
        return checkpoints.get(session, run_id, "last").data


def result(database: Database, run_id: UUID) -> list[Any]:
    """All there is of a run's result, byte for byte."""
    segment_columns = [column for column in CurveSegment.__table__.c if column.name != "run_id"]
    with database.read() as session:
        found = runs.get(session, run_id)
        segments = session.execute(
            select(*segment_columns).where(CurveSegment.run_id == run_id).order_by("first_epoch")
        )
        kept = [
            (row.kind, row.epoch, row.size, row.sha256, *session.scalars(chunks_of(row.id)))
            for row in checkpoints.of_run(session, run_id)
        ]
        return [found.summary, found.epochs_done, [tuple(row) for row in segments], sorted(kept)]


def chunks_of(checkpoint_id: UUID) -> Any:
    chunks = select(CheckpointChunk.data).where(CheckpointChunk.checkpoint_id == checkpoint_id)
    return chunks.order_by(CheckpointChunk.number)
