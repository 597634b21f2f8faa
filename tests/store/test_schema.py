import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect

from store import schema
from store.base import Base
from store.engine import Database, make_engine
from store.errors import SchemaOutdated
from store.reuse import reuse_earlier
from store.status import Status
from tests.store.processes import Crew
from tests.store.samples import check_all_adds_up, claim, finish, finish_all, store_epochs, submit


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    database = Database(make_engine(f"sqlite:///{tmp_path / 'empty.db'}"))
    yield database
    database.dispose()


def test_the_migrations_make_the_tables_the_code_declares(database: Database) -> None:
    with database.engine.connect() as connection:
        command.check(schema.migrations_config(connection))
    found = set(inspect(database.engine).get_table_names())
    assert found == {*Base.metadata.tables, "alembic_version"}


def test_a_migrated_database_is_current(database: Database) -> None:
    assert schema.is_current(database.engine)
    schema.check(database.engine)


def test_an_empty_database_is_not(empty: Database) -> None:
    assert not schema.is_current(empty.engine)
    with pytest.raises(SchemaOutdated, match="migrate"):
        schema.check(empty.engine)


def test_asking_for_help_makes_no_database(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "store.schema", "--help"]
    environment = {**os.environ, "EPOCHD_DATA": str(tmp_path / "data")}
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "EPOCHD_DATABASE_URL" in asked.stdout
    assert not (tmp_path / "data").exists()


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    submit(database)
    schema.upgrade(database.engine)
    schema.check(database.engine)


def test_several_processes_may_upgrade_at_once(empty: Database, crew: Crew) -> None:
    crew.do(empty, *[("upgrade",)] * 4)
    schema.check(empty.engine)


def test_counters_that_a_migration_adds_count_what_was_there_before(database: Database) -> None:
    submit(database)
    earlier = claim(database)
    store_epochs(database, earlier, 1, 10)
    finish_all(database, earlier, result_key="same")
    submit(database, 3, 1)
    held = claim(database)
    with database.write() as session:
        reuse_earlier(session, held, {held.runs[0].run_id: "same"})
    store_epochs(database, held, 1, 4)
    finish(database, held, held.runs[1].run_id, Status.FAILED)
    with database.engine.begin() as connection:
        command.downgrade(schema.migrations_config(connection), "0002")
    schema.upgrade(database.engine)
    check_all_adds_up(database)


def test_every_migration_can_be_undone(empty: Database) -> None:
    schema.upgrade(empty.engine)
    with empty.engine.begin() as connection:
        command.downgrade(schema.migrations_config(connection), "base")
    assert set(inspect(empty.engine).get_table_names()) == {"alembic_version"}
    schema.upgrade(empty.engine)
    schema.check(empty.engine)
