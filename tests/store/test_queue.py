import random
from uuid import UUID

import pytest
from sqlalchemy import update

from store import experiments, jobs, queue, workers
from store.clock import database_now
from store.engine import Database
from store.jobs import Claim
from store.queue import QueuePlace
from store.tables import Job
from tests.store.samples import claim, finish_all, store_epochs, submit, wait_for_the_next_millisecond


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


@pytest.mark.parametrize("seed", range(3))
def test_positions_foretell_the_order_of_claims_of_equal_priority_while_no_job_ends(
    database: Database, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    for _ in range(6):
        submit(database, owner=chance.choice("abcd"))
    for _ in range(4):
        claim(database)
        wait_for_the_next_millisecond(database)
    for _ in range(20):
        submit(database, owner=chance.choice("abcde"))
    with database.read() as session:
        waiting = [one.id for one in experiments.page(session, owner=None, limit=99).items if one.queued]
    foretold = sorted(waiting, key=lambda experiment_id: position(database, experiment_id) or 0)
    claimed = []
    for _ in foretold:
        claimed.append(claim(database).experiment_id)
        wait_for_the_next_millisecond(database)
    assert claimed == foretold


def test_a_long_queue_of_somebody_else_is_passed_by(database: Database) -> None:
    submit(database, *[1] * 30, owner="ann")
    assert position(database, submit(database, owner="bob").id) == 2


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
    assert place(database, submitted.id) == QueuePlace("gpu", 1, workers=1, idle=1, eta_seconds=0.0)
    with database.read() as session:
        gone = queue.place(session, submitted.id, worker_seconds=-1)
    assert gone is not None
    assert gone.reason is not None


SECONDS = 100.0


def heartbeat(database: Database, *names: str) -> None:
    with database.write() as session:
        for name in names:
            workers.heartbeat(session, name=name, pid=1, hostname="h", queues=["cpu"], device="cpu", threads=1)


def backdate(database: Database, held: Claim, seconds: float) -> None:
    """Let the job have been started so long ago."""
    with database.write() as session:
        session.execute(update(Job).where(Job.id == held.job_id).values(started_at=database_now() - seconds))


def finished(database: Database, *seconds: float) -> None:
    """Jobs that took so long."""
    for each in seconds:
        submit(database)
        held = claim(database)
        backdate(database, held, each)
        finish_all(database, held)


def eta(database: Database, experiment_id: UUID) -> float | None:
    found = place(database, experiment_id)
    assert found is not None
    return found.eta_seconds


def test_an_idle_worker_takes_the_next_job_at_once(database: Database) -> None:
    heartbeat(database, "slot-1", "slot-2")
    first, second, third = (submit(database) for _ in range(3))
    assert [eta(database, each.id) for each in (first, second, third)] == [0.0, 0.0, None]
    assert [found.reason if (found := place(database, each.id)) else "" for each in (first, second, third)] == [
        None,
        None,
        "2 jobs go before it.",
    ]


def test_what_waits_for_busy_workers_is_told_so(database: Database) -> None:
    heartbeat(database, "slot-1")
    submit(database)
    claim(database)
    first, second = submit(database), submit(database)
    reasons = [found.reason if (found := place(database, each.id)) else "" for each in (first, second)]
    assert reasons == ["Its only worker is busy.", "Its only worker is busy, and 1 job goes before it."]


def test_nobody_can_tell_before_anything_was_trained(database: Database) -> None:
    heartbeat(database, "slot-1")
    submit(database)
    claim(database)
    assert eta(database, submit(database).id) is None


def test_the_running_job_is_waited_for_as_long_as_its_pace_says(database: Database) -> None:
    heartbeat(database, "slot-1")
    submit(database)
    held = claim(database)
    store_epochs(database, held, 1, 2)  # of 10
    backdate(database, held, SECONDS)
    first, second = submit(database), submit(database)
    assert eta(database, first.id) == pytest.approx(4 * SECONDS, rel=0.01)
    assert eta(database, second.id) == pytest.approx((4 + 5) * SECONDS, rel=0.01)  # as long again as the running one


def test_jobs_that_go_before_take_as_long_as_the_last_ones_took(database: Database) -> None:
    finished(database, 50.0, 150.0)
    heartbeat(database, "slot-1", "slot-2")
    submit(database, 1, 1)
    for name, seconds in (("slot-1", 30.0), ("slot-2", 70.0)):
        backdate(database, claim(database, name), seconds)
    waiting = [submit(database) for _ in range(5)]
    expected = [30.0, 70.0, 130.0, 170.0, 230.0]
    assert [eta(database, each.id) for each in waiting] == pytest.approx(expected, abs=1.0)


def test_what_was_interrupted_is_no_measure(database: Database) -> None:
    finished(database, 10.0)
    submit(database)
    held = claim(database)
    backdate(database, held, 3600.0)
    with database.write() as session:
        jobs.give_back(session, held, "shut down for the night")
    heartbeat(database, "slot-1")
    store_epochs(database, claim(database), 1, 5)
    assert eta(database, submit(database).id) == 0.0  # it is overdue


def test_a_long_queue_is_no_work(database: Database) -> None:
    finished(database, 60.0)
    heartbeat(database, *(f"slot-{number}" for number in range(1, 5)))
    submit(database, *[1] * 2000)
    last = submit(database)
    assert eta(database, last.id) == pytest.approx(2000 / 4 * 60.0, rel=0.01)
