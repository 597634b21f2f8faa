from typing import Any

from sqlalchemy import update

from store import workers
from store.engine import Database
from store.tables import Worker


def beat(database: Database, name: str = "slot-1", pid: int = 1) -> None:
    with database.write() as session:
        workers.heartbeat(session, name=name, pid=pid, hostname="here", queues=["cpu"], device="cpu", threads=2)


def test_a_heartbeat_makes_a_worker_live(database: Database) -> None:
    beat(database, "slot-2")
    beat(database, "slot-1")
    with database.read() as session:
        found = workers.live(session, within_seconds=60)
    assert [worker.name for worker in found] == ["slot-1", "slot-2"]
    assert (found[0].pid, found[0].hostname, found[0].queues) == (1, "here", ["cpu"])
    assert (found[0].device, found[0].threads) == ("cpu", 2)


def test_a_worker_not_heard_of_is_not_live(database: Database) -> None:
    beat(database)
    with database.read() as session:
        assert workers.live(session, within_seconds=-1) == []


def test_beats_of_one_process_renew_and_another_process_starts_anew(database: Database) -> None:
    beat(database)
    with database.read() as session:
        first = workers.live(session, 60)[0]
    beat(database)
    with database.read() as session:
        second = workers.live(session, 60)[0]
    assert second.started_at == first.started_at
    assert second.heartbeat_at >= first.heartbeat_at
    beat(database, pid=2)
    with database.read() as session:
        third = workers.live(session, 60)[0]
    assert third.pid == 2
    assert third.started_at >= second.heartbeat_at


def test_a_forgotten_worker_is_gone(database: Database) -> None:
    beat(database)
    with database.write() as session:
        workers.forget(session, "slot-1")
        workers.forget(session, "unknown")
    with database.read() as session:
        assert workers.live(session, 60) == []


def test_workers_that_have_long_been_silent_are_forgotten(database: Database) -> None:
    beat(database, "slot-1")
    with database.write() as session:
        session.execute(update(Worker).values(heartbeat_at=Worker.heartbeat_at - 100))
    beat(database, "slot-2")
    for seconds, known in ((200, ["slot-1", "slot-2"]), (50, ["slot-2"])):
        with database.write() as session:
            workers.forget_silent(session, seconds)
        with database.read() as session:
            assert [worker.name for worker in workers.live(session, 1000)] == known


def test_the_smallest_card_of_a_live_worker_is_known(database: Database) -> None:
    beat(database)
    with database.write() as session:
        assert workers.smallest_card(session, 60) is None
        for name, memory in (("large", 150 * 10**9), ("small", 24 * 10**9)):
            details: dict[str, Any] = {"pid": 1, "hostname": "here", "queues": ["gpu", "cpu"], "threads": 1}
            workers.heartbeat(session, name=name, device="cuda X", card_memory=memory, **details)
    with database.read() as session:
        assert workers.smallest_card(session, 60) == 24 * 10**9
        assert workers.smallest_card(session, -1) is None
