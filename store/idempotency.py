"""Submissions that are sent twice and made once: a client's key, kept in the transaction that makes the experiment."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from store.clock import read_clock
from store.errors import KeyReused
from store.statements import change
from store.tables import IdempotencyKey


def take(session: Session, owner: str, key: str, request: Mapping[str, Any]) -> UUID | None:
    """Take the owner's key for this request, or return the experiment that it has made already.

    Whoever takes it makes the experiment in the same transaction and calls `keep`; another with the same key waits here
    until that is committed. Raises KeyReused when the key was taken for another request.
    """
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    values = {"owner": owner, "key": key, "body_sha256": digest, "created_at": read_clock(session)}
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    taken = insert(IdempotencyKey).values(values).on_conflict_do_nothing().returning(IdempotencyKey.key)
    if session.execute(taken).one_or_none() is not None:
        return None
    columns = (IdempotencyKey.body_sha256, IdempotencyKey.experiment_id)
    known = session.execute(select(*columns).where(*_is(owner, key))).one()
    if known.body_sha256 != digest:
        raise KeyReused("This idempotency key came with another request before; make a new one for each submission.")
    experiment_id: UUID | None = known.experiment_id
    return experiment_id


def keep(session: Session, owner: str, key: str, experiment_id: UUID) -> None:
    """Note what was made under a key that this transaction has taken."""
    change(session, update(IdempotencyKey).where(*_is(owner, key)).values(experiment_id=experiment_id))


def _is(owner: str, key: str) -> tuple[Any, Any]:
    return IdempotencyKey.owner == owner, IdempotencyKey.key == key
