from collections.abc import Iterator
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import func, select, update

from store import checkpoints, deleting, events, experiments, idempotency, runs
from store.base import Base
from store.engine import Database
from store.errors import NotFound, StillRunning
from store.status import FINAL, Status
from store.tables import Experiment
from tests.store.samples import (
    check_all_adds_up,
    claim,
    experiment,
    finish,
    finish_all,
    store_epochs,
    submit,
    try_claim,
)
from tests.store.statements import Statements, counting

OF_EXPERIMENTS = [table for table in Base.metadata.sorted_tables if table.name not in ("workers", "api_keys")]


def delete(database: Database, experiment_id: UUID, owner: str | None = None) -> None:
    with database.write() as session:
        deleting.delete_experiment(session, experiment_id, owner)


def purge(database: Database) -> int:
    """Purge until nothing is left; return in how many steps."""
    steps = 0
    while True:
        with database.write() as session:
            if not deleting.purge(session):
                return steps
        steps += 1


def rows(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in OF_EXPERIMENTS}


def trained(database: Database, n_runs: int = 3) -> Experiment:
    """Submit and train an experiment that leaves something in every table."""
    submitted = submit(database, n_runs)
    held = claim(database)
    for epoch in range(1, 7):
        store_epochs(database, held, epoch, epoch)
    with database.write() as session:
        assert idempotency.take(session, "ann", str(submitted.id), {}) is None
        idempotency.keep(session, "ann", str(submitted.id), submitted.id)
        for run in held.runs:
            checkpoints.put(session, held, run_id=run.run_id, kind="last", epoch=4, data=b"x" * 100)
    finish_all(database, held)
    return submitted


@pytest.fixture
def statements(database: Database) -> Iterator[Statements]:
    with counting(database) as statements:
        yield statements


def test_a_deleted_experiment_leaves_nothing(database: Database) -> None:
    kept = trained(database)
    before = rows(database)
    assert all(before.values())
    delete(database, trained(database).id)
    purge(database)
    assert rows(database) == before
    assert experiment(database, kept.id).status is Status.SUCCEEDED
    check_all_adds_up(database)


def test_from_one_moment_on_nobody_finds_it(database: Database) -> None:
    gone = trained(database)
    with database.read() as session:
        (run, *_) = runs.of_experiment(session, gone.id, limit=9).items
    delete(database, gone.id)
    with database.read() as session:
        for look in (experiments.get, experiments.lock):
            with pytest.raises(NotFound):
                look(session, gone.id)
        for look_at_run in (runs.get, runs.get_with_job, runs.get_with_name, events.of_run):
            with pytest.raises(NotFound):
                look_at_run(session, run.id)
        assert experiments.page(session, owner=None, limit=9).items == []
        assert runs.page(session, owner=None, limit=9).items == []
        assert experiments.standings(session, [gone.id]) == {}
    with pytest.raises(NotFound):
        delete(database, gone.id)


def test_what_waits_is_cancelled_first(database: Database) -> None:
    waiting = submit(database, 2, 1)
    delete(database, waiting.id)
    assert try_claim(database) is None
    purge(database)
    assert not any(rows(database).values())


def test_what_trains_is_not_deleted(database: Database) -> None:
    running = submit(database, 1, 1)
    held = claim(database)
    with pytest.raises(StillRunning, match="cancel"):
        delete(database, running.id)
    assert experiment(database, running.id).queued == 1  # nothing was cancelled either
    finish(database, held, held.runs[0].run_id)
    delete(database, running.id)
    assert try_claim(database) is None


def test_somebody_elses_is_not_found(database: Database) -> None:
    theirs = submit(database)
    with pytest.raises(NotFound):
        delete(database, theirs.id, owner="bob")
    assert experiment(database, theirs.id).status is Status.QUEUED


def test_a_sweep_goes_bit_by_bit(database: Database, statements: Statements, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("CHECKPOINTS_AT_ONCE", "RUNS_AT_ONCE", "ROWS_AT_ONCE"):
        monkeypatch.setattr(deleting, size, 4)
    delete(database, trained(database, 10).id)
    seen = [rows(database)]
    while seen[-1]["experiments"]:
        with database.write() as session:
            assert deleting.purge(session)
        seen.append(rows(database))
    for name in ("checkpoints", "runs", "events", "flushes"):
        steps = -np.diff([counts[name] for counts in seen])
        assert max(steps) == 4
        assert all(steps >= 0)
    assert not any(rows(database).values())


def test_two_who_purge_do_not_get_in_each_others_way(database: Database) -> None:
    for _ in range(2):
        delete(database, trained(database).id)
    assert purge(database) > 2
    assert purge(database) == 0


@pytest.mark.parametrize("status", sorted(FINAL))
def test_ephemeral_experiments_go_some_time_after_their_end(database: Database, status: Status) -> None:
    waiting, lasting, ended = (submit(database, ephemeral=ephemeral) for ephemeral in (True, False, True))
    for submitted in (ended, lasting):
        with database.write() as session:
            session.execute(update(Experiment).where(Experiment.id == submitted.id).values(priority=1))
    held = {each.experiment_id: each for each in (claim(database) for _ in range(3))}
    finish_all(database, held[lasting.id], status)
    finish_all(database, held[ended.id], status)
    for seconds, gone in ((60.0, False), (0.0, True)):
        with database.write() as session:
            deleting.delete_ephemeral(session, seconds)
        with database.read() as session:
            assert (ended.id not in experiments.standings(session, [ended.id])) == gone
            assert len(experiments.standings(session, [waiting.id, lasting.id])) == 2
