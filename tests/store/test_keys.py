import re
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from store import keys
from store.engine import Database
from store.errors import NotFound
from store.tables import ApiKey

KEY = "epochd_0123456789abcdef0123456789abcdef_" + "Ab-_" * 10 + "xyz"


def make(database: Database, **details: str) -> tuple[UUID, str]:
    with database.write() as session:
        row, key = keys.create(session, **details)  # type: ignore[arg-type]
        return row.id, key


def revoke(database: Database, key_id: UUID) -> None:
    with database.write() as session:
        keys.revoke(session, key_id)


def find(database: Database, key: str) -> ApiKey | None:
    with database.read() as session:
        return keys.find(session, key)


def test_a_key_is_found_with_its_owner_and_scopes(database: Database) -> None:
    key_id, key = make(database, owner="ann", scope="write", label="laptop")
    found = find(database, key)
    assert found is not None
    assert (found.id, found.owner, found.scopes, found.name) == (key_id, "ann", ["read", "write"], "laptop")


def test_a_scope_includes_those_before_it(database: Database) -> None:
    found = [find(database, make(database, scope=scope)[1]) for scope in keys.SCOPES]
    assert [row.scopes for row in found if row] == [["read"], ["read", "write"], ["read", "write", "admin"]]


def test_the_key_itself_is_nowhere(database: Database) -> None:
    _, key = make(database)
    secret = key.removeprefix("epochd_")[33:]
    with database.read() as session:
        (row,) = session.scalars(select(ApiKey))
        stored = " ".join(str(getattr(row, column.key)) for column in ApiKey.__table__.columns)
    assert secret not in stored
    assert re.fullmatch("[0-9a-f]{64}", row.sha256)


def test_keys_differ(database: Database) -> None:
    assert len({make(database)[1] for _ in range(20)}) == 20


def test_another_keys_id_with_this_ones_secret_is_no_key(database: Database) -> None:
    (first, one), (second, _) = make(database), make(database)
    assert find(database, one.replace(first.hex, second.hex)) is None
    assert find(database, one.replace(first.hex, uuid4().hex)) is None


def test_what_is_nearly_a_key_is_none(database: Database) -> None:
    _, key = make(database)
    for nearly in (key[:-1], f"{key}a", f" {key}", key.upper(), key.removeprefix("epochd_"), ""):
        assert find(database, nearly) is None


def test_a_revoked_key_is_found_no_more_and_stays_in_the_list(database: Database) -> None:
    key_id, key = make(database)
    with database.read() as session:
        assert keys.is_any_valid(session)
    revoke(database, key_id)
    assert find(database, key) is None
    with database.read() as session:
        (row,) = keys.all_of(session)
        assert row.revoked_at is not None
        assert not keys.is_any_valid(session)
        assert keys.are_asked_for(session)


def test_a_key_is_revoked_once(database: Database) -> None:
    key_id, _ = make(database)
    revoke(database, key_id)
    for none in (key_id, uuid4()):
        with pytest.raises(NotFound):
            revoke(database, none)


def test_none_is_asked_for_until_the_first_is_made(database: Database) -> None:
    with database.read() as session:
        assert not keys.are_asked_for(session)
    make(database)
    with database.read() as session:
        assert keys.are_asked_for(session)


def test_use_is_noted(database: Database) -> None:
    key_id, key = make(database)
    with database.write() as session:
        found = keys.find(session, key)
        assert found is not None
        assert not keys.is_use_noted(session, found)
        keys.note_use(session, key_id)
    with database.read() as session:
        found = keys.find(session, key)
        assert found is not None
        assert keys.is_use_noted(session, found)


@given(st.text(), st.text())
def test_a_key_is_seen_anywhere_in_a_text(before: str, after: str) -> None:
    assert keys.is_in(before + KEY + after)
