"""Learning that something was written."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store import experiments
from store.changes import Changes
from store.engine import Database, make_engine
from tests.store.processes import Crew
from tests.store.samples import submit


@pytest.fixture
def changes(database: Database) -> Iterator[Changes]:
    with closing(Changes(database)) as changes:
        yield changes


@pytest.fixture
def cheap(changes: Changes) -> Changes:
    """Changes that can tell what is none; elsewhere there is nothing to be asked beyond the test of all databases."""
    if not changes.is_cheap:
        pytest.skip("PostgreSQL has no number that tells of commits: there something may always have been written")
    return changes


def test_what_was_written_by_whomever_is_a_change(changes: Changes, database: Database, crew: Crew) -> None:
    assert changes.are_possible()
    submitted = submit(database)
    assert changes.are_possible()
    crew.do(database, ("raise_priority", str(submitted.id), "1"))
    assert changes.are_possible()


def test_where_it_is_cheap_reading_is_no_change(cheap: Changes, database: Database) -> None:
    submitted = submit(database)
    cheap.are_possible()
    with database.read() as session:
        experiments.get(session, submitted.id)
    assert not cheap.are_possible()


def test_a_transaction_is_a_change_when_it_ends(cheap: Changes, database: Database) -> None:
    submitted = submit(database)
    cheap.are_possible()
    with database.write() as session:
        experiments.get(session, submitted.id).priority += 1
        session.flush()
        assert not cheap.are_possible()
    assert cheap.are_possible()


def test_a_database_that_cannot_be_read_may_have_changed(tmp_path: Path) -> None:
    (tmp_path / "epochd.db").write_text("this is no database")
    database = Database(make_engine(f"sqlite:///{tmp_path / 'epochd.db'}"))
    with closing(Changes(database)) as changes:
        assert changes.are_possible()
        assert changes.are_possible()
    database.dispose()
