from uuid import UUID

from store import experiments, queue, workers
from store.engine import Database
from store.queue import QueuePlace
from tests.store.samples import claim, submit


def place(database: Database, experiment_id: UUID) -> QueuePlace | None:
    with database.read() as session:
        return queue.place(session, experiment_id)


def position(database: Database, experiment_id: UUID) -> int | None:
    found = place(database, experiment_id)
    return None if found is None else found.position


def test_positions_are_the_order_of_claims(database: Database) -> None:
    submitted = [
        submit(database, owner=owner, priority=priority).id
        for owner, priority in (("ann", 0), ("ann", 0), ("bob", 0), ("cid", 0), ("bob", 1), ("ann", 2))
    ]
    for _ in submitted:
        first = {experiment_id for experiment_id in submitted if position(database, experiment_id) == 1}
        assert first == {claim(database).experiment_id}


def test_every_waiting_experiment_has_its_own_position(database: Database) -> None:
    submitted = [
        submit(database, owner=owner, priority=priority).id
        for owner in ("ann", "bob")
        for priority in (0, 1)
        for _ in range(3)
    ]
    claim(database)
    waiting = [found for experiment_id in submitted if (found := position(database, experiment_id)) is not None]
    assert sorted(waiting) == list(range(1, 12))


def test_what_does_not_wait_has_no_place(database: Database) -> None:
    running, cancelled = submit(database), submit(database)
    claim(database)
    with database.write() as session:
        experiments.cancel(session, cancelled.id)
    assert place(database, running.id) is None
    assert place(database, cancelled.id) is None


def test_the_best_job_of_several_counts(database: Database) -> None:
    first, second = submit(database, 1, 1), submit(database, 1, 1)
    claim(database)
    assert position(database, first.id) == 1
    assert position(database, second.id) == 2


def test_another_queue_is_not_waited_for(database: Database) -> None:
    submit(database, queue="cpu")
    assert position(database, submit(database, queue="gpu").id) == 1


def test_a_queue_that_nobody_serves_is_the_reason(database: Database) -> None:
    submitted = submit(database, queue="gpu")
    with database.write() as session:
        workers.heartbeat(session, name="slot-1", pid=1, hostname="h", queues=["cpu"], device="cpu", threads=1)
    found = place(database, submitted.id)
    assert found is not None
    assert found.reason is not None
    assert "gpu" in found.reason
    with database.write() as session:
        workers.heartbeat(session, name="slot-2", pid=2, hostname="h", queues=["gpu", "cpu"], device="cuda", threads=1)
    assert place(database, submitted.id) == QueuePlace("gpu", 1, 1)
    with database.read() as session:
        gone = queue.place(session, submitted.id, worker_seconds=-1)
    assert gone is not None
    assert gone.reason is not None
