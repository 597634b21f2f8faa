"""API keys: who may ask, and for what. A key is shown once, when it is made; kept is the hash of its secret."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final, Literal, get_args
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from store.clock import database_now, read_clock
from store.errors import NotFound
from store.identifiers import new_id
from store.statements import change, fresh
from store.tables import ApiKey

Scope = Literal["read", "write", "admin"]
"""What a key is good for; each includes those before it. admin sees what belongs to others too."""

LOCAL: Final = "local"
"""Who owns what is submitted without a key, and what a key submits that was made without an owner."""
SCOPES: Final[Sequence[Scope]] = get_args(Scope)
USE_NOTED_SECONDS: Final = 3600.0
"""The last use of a key is known as exactly as this: a read must not become a write each time."""

_SECRET_BYTES: Final = 32  # so many random bytes need no slow hash: they cannot be guessed
_FORMAT: Final = re.compile(r"epochd_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")


def create(session: Session, *, owner: str = LOCAL, scope: Scope = "write", label: str = "") -> tuple[ApiKey, str]:
    """Make a key; return what is kept of it, and the key itself, which nobody can tell again."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    row = ApiKey(
        id=new_id(),
        name=label,
        owner=owner,
        scopes=list(SCOPES[: SCOPES.index(scope) + 1]),
        sha256=_hash(secret),
        created_at=read_clock(session),
    )
    session.add(row)
    return row, f"epochd_{row.id.hex}_{secret}"


def find(session: Session, key: str) -> ApiKey | None:
    """Return the row of this key; None when there is no such key, or it was revoked."""
    parts = _FORMAT.fullmatch(key)
    if parts is None:
        return None
    row = session.get(ApiKey, UUID(parts[1]))
    if row is None or not hmac.compare_digest(row.sha256, _hash(parts[2])):
        return None
    return row if row.revoked_at is None else None


def is_in(text: str) -> bool:
    """Return whether there is a key anywhere in this text."""
    return _FORMAT.search(text) is not None


def are_asked_for(session: Session) -> bool:
    """Return whether a key was ever made. From then on one is needed: revoking the last opens nothing."""
    return session.execute(select(exists().select_from(ApiKey))).scalar_one()


def is_any_valid(session: Session) -> bool:
    """Return whether there is a key that was not revoked."""
    return session.execute(select(exists().where(ApiKey.revoked_at.is_(None)))).scalar_one()


def is_use_noted(session: Session, key: ApiKey) -> bool:
    """Return whether it is known that the key was used within the last hour."""
    return key.last_used_at is not None and read_clock(session) - key.last_used_at < USE_NOTED_SECONDS


def note_use(session: Session, key_id: UUID) -> None:
    """Remember that the key was used now."""
    change(session, update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=database_now()))


def all_of(session: Session) -> list[ApiKey]:
    """Return every key, revoked ones too, the oldest first."""
    return fresh(session, select(ApiKey).order_by(ApiKey.created_at, ApiKey.id))


def revoke(session: Session, key_id: UUID) -> None:
    """Make the key good for nothing, at once and for ever; raises NotFound when no valid key has this id."""
    valid = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    if not change(session, valid.values(revoked_at=database_now())).rowcount:
        raise NotFound(f"There is no valid key {key_id}.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
