from store import statistics, workers
from store.clock import read_clock
from store.engine import Database
from store.status import Status
from tests.store.samples import claim, finish, store_epochs, submit


def test_the_queue_the_runs_and_the_workers_in_numbers(database: Database) -> None:
    submit(database, 2)
    held = claim(database)
    finish(database, held, held.runs[0].run_id)
    submit(database, 1, 1, queue="gpu")
    with database.write() as session:
        for name in ("slot-1", "slot-2"):
            workers.heartbeat(session, name=name, pid=1, hostname="h", queues=["cpu"], device="cpu", threads=1)
    with database.read() as session:
        queues = statistics.queues(session)
        runs = statistics.runs_by_status(session)
        known = statistics.workers(session)
    assert {name: depth.jobs for name, depth in queues.items()} == {"gpu": 2}
    assert 0 <= queues["gpu"].oldest_seconds < 60
    assert {status: count for status, count in runs.items() if count} == {
        Status.QUEUED: 2,
        Status.RUNNING: 1,
        Status.SUCCEEDED: 1,
    }
    assert [(worker.name, worker.is_busy) for worker in known] == [("slot-1", True), ("slot-2", False)]


def test_what_trains_and_what_ended_lately(database: Database) -> None:
    submit(database)
    with database.read() as session:
        before = read_clock(session)
        assert statistics.trained(session, before) == []
    held = claim(database)
    store_epochs(database, held, 1, 4)
    with database.read() as session:
        assert [row.epochs for row in statistics.trained(session, before)] == [4]
    finish(database, held, held.runs[0].run_id)
    with database.read() as session:
        assert [row.experiment_id for row in statistics.trained(session, before)] == [held.experiment_id]
        assert statistics.trained(session, before + 1000) == []
