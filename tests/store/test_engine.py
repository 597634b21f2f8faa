import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import select, text

from store import experiments
from store.clock import read_clock
from store.engine import Database, make_engine
from store.tables import Experiment
from tests.store.processes import Crew
from tests.store.samples import experiment, submit


@pytest.fixture
def sqlite(database: Database) -> Database:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("about SQLite")
    return database


def test_sqlite_is_set_up_to_lose_nothing(sqlite: Database) -> None:
    with sqlite.read() as session:
        settings = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15_000}


def test_a_new_file_is_opened_while_another_process_writes_its_first_rows(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "new.db", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE first (x)")
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.2, other.execute, ["COMMIT"]).start()
    engine = make_engine(f"sqlite:///{tmp_path / 'new.db'}")
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    engine.dispose()
    other.close()


def test_updates_of_several_processes_are_all_kept(database: Database, crew: Crew) -> None:
    submitted = submit(database)
    if database.engine.dialect.name == "postgresql":
        pytest.skip("there a plain read locks nothing; changes are compare-and-set")
    crew.do(database, *[("raise_priority", str(submitted.id), "25")] * 4)
    assert experiment(database, submitted.id).priority == 100


def test_updates_of_several_threads_are_all_kept(sqlite: Database) -> None:
    submitted = submit(sqlite)

    def raise_priority() -> None:
        for _ in range(10):
            with sqlite.write() as session:
                experiments.get(session, submitted.id).priority += 1

    threads = [threading.Thread(target=raise_priority) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert experiment(sqlite, submitted.id).priority == 80


def test_a_block_that_raises_changes_nothing(database: Database) -> None:
    submitted = submit(database, name="before")

    def fail() -> None:
        with database.write() as session:
            experiments.get(session, submitted.id).name = "after"
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert experiment(database, submitted.id).name == "before"


def test_readers_see_the_last_commit_while_somebody_writes(database: Database) -> None:
    submitted = submit(database, name="before")
    with database.write() as session:
        experiments.get(session, submitted.id).name = "after"
        session.flush()
        assert experiment(database, submitted.id).name == "before"
    assert experiment(database, submitted.id).name == "after"


def test_a_writer_waits_for_a_writer_outside(sqlite: Database, tmp_path: Path) -> None:
    submitted = submit(sqlite, name="before")
    outside = sqlite3.connect(tmp_path / "epochd.db", isolation_level=None, check_same_thread=False)
    outside.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.5, outside.execute, ["COMMIT"])
    release.start()
    with sqlite.write() as session:
        experiments.get(session, submitted.id).name = "after"
    release.join()
    outside.close()
    assert experiment(sqlite, submitted.id).name == "after"


def test_objects_can_be_read_after_their_transaction(database: Database) -> None:
    submitted = submit(database)
    assert (submitted.status, submitted.finished_at, submitted.total_runs) == ("queued", None, 1)


def test_the_clock_is_the_databases_and_moves(database: Database) -> None:
    with database.read() as session:
        first = read_clock(session)
        while (second := read_clock(session)) == first:
            pass
        assert first < second < first + 60
        assert session.scalar(select(Experiment.id).limit(1)) is None
