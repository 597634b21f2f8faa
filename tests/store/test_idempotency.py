from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import func, select

from store import deleting, experiments, idempotency
from store.engine import Database
from store.errors import KeyReused
from store.experiments import NewJob
from store.tables import Experiment, IdempotencyKey
from tests.store.samples import SPEC

REQUEST = {"spec": SPEC, "name": "once"}


def submit(database: Database, key: str = "k", owner: str = "ann", **changes: object) -> UUID:
    """Submit as the API does."""
    request = {**REQUEST, **changes}
    with database.write() as session:
        known = idempotency.take(session, owner, key, request)
        if known is not None:
            return known
        made = experiments.create(session, request=request, owner=owner, jobs=[NewJob("cpu", [SPEC])], code_version="1")
        idempotency.keep(session, owner, key, made.id)
        return made.id


def count(database: Database, table: type[Experiment | IdempotencyKey]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_request_that_comes_twice_makes_one_experiment(database: Database) -> None:
    assert submit(database) == submit(database)
    assert count(database, Experiment) == 1


def test_the_order_of_its_fields_is_no_other_request(database: Database) -> None:
    first = submit(database)
    with database.write() as session:
        assert idempotency.take(session, "ann", "k", dict(reversed(REQUEST.items()))) == first


def test_a_key_is_good_for_one_request(database: Database) -> None:
    submit(database)
    with pytest.raises(KeyReused):
        submit(database, name="another")
    assert count(database, Experiment) == 1


def test_keys_of_other_owners_are_other_keys(database: Database) -> None:
    assert submit(database, owner="ann") != submit(database, owner="bob", name="another")


def test_a_submission_that_fails_leaves_its_key_free(database: Database) -> None:
    with database.write() as session:
        assert idempotency.take(session, "ann", "k", {}) is None
        session.rollback()
    assert count(database, IdempotencyKey) == 0
    submit(database)


def test_many_at_once_make_one_experiment(database: Database) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: submit(database), range(16)))
    assert len(made) == 1
    assert count(database, Experiment) == 1


def test_a_key_goes_with_its_experiment(database: Database) -> None:
    first = submit(database)
    with database.write() as session:
        deleting.delete_experiment(session, first)
    assert submit(database) != first


def test_a_key_goes_with_an_ephemeral_experiment_at_once(database: Database) -> None:
    with database.write() as session:
        idempotency.take(session, "ann", "k", REQUEST)
        jobs = [NewJob("cpu", [SPEC])]
        first = experiments.create(session, request=REQUEST, owner="ann", jobs=jobs, code_version="1", ephemeral=True)
        idempotency.keep(session, "ann", "k", first.id)
        experiments.cancel(session, first.id)
    with database.write() as session:
        deleting.delete_ephemeral(session, -1)
    assert submit(database) != first.id
