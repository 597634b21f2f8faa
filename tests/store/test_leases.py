from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store import checkpoints, flushes, jobs, runs
from store.engine import Database
from store.errors import LeaseLost
from store.jobs import Claim
from store.status import Status
from store.tables import Checkpoint, CurveSegment, Event
from tests.store.processes import Crew
from tests.store.samples import (
    check_all_adds_up,
    claim,
    experiment,
    finish,
    finish_all,
    job,
    kinds,
    run,
    segment,
    statuses,
    store_epochs,
    submit,
    try_claim,
)

GUARDED: dict[str, Callable[[Session, Claim], object]] = {
    "renew": lambda session, held: jobs.renew(session, held, 10),
    "give_back": lambda session, held: jobs.give_back(session, held, "shut down"),
    "flush": lambda session, held: flushes.write(session, held, [segment(held.runs[0].run_id, 1, 3)], 10),
    "state": lambda session, held: checkpoints.put(session, held, run_id=None, kind="state", epoch=3, data=b"x"),
    "last": lambda session, held: checkpoints.put(
        session, held, run_id=held.runs[0].run_id, kind="last", epoch=3, data=b"x"
    ),
    "finish": lambda session, held: runs.finish(session, held, held.runs[0].run_id, Status.SUCCEEDED, {}),
}


def expire(database: Database, max_crashes: int = 3) -> int:
    with database.write() as session:
        return len(jobs.expire(session, max_crashes=max_crashes))


def lose_to_another(database: Database) -> Claim:
    held = claim(database, "slot-1", lease_seconds=-1)
    assert expire(database) == 1
    claim(database, "slot-2")
    return held


def lose_to_the_queue(database: Database) -> Claim:
    held = claim(database, "slot-1", lease_seconds=-1)
    assert expire(database) == 1
    return held


def lose_to_the_end(database: Database) -> Claim:
    held = claim(database, "slot-1")
    finish_all(database, held)
    return held


@pytest.mark.parametrize("lose", [lose_to_another, lose_to_the_queue, lose_to_the_end])
@pytest.mark.parametrize("name", GUARDED)
def test_who_lost_the_lease_writes_nothing(database: Database, name: str, lose: Callable[[Database], Claim]) -> None:
    submitted = submit(database)
    held = lose(database)
    before, seq = job(database, held.job_id).lease_until, experiment(database, submitted.id).seq
    with pytest.raises(LeaseLost, match=str(held.job_id)), database.write() as session:
        GUARDED[name](session, held)
    with database.read() as session:
        for table in (CurveSegment, Checkpoint):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    assert (job(database, held.job_id).lease_until, experiment(database, submitted.id).seq) == (before, seq)
    check_all_adds_up(database)


def test_a_lease_that_runs_on_is_left_alone(database: Database) -> None:
    submit(database)
    held = claim(database)
    assert expire(database) == 0
    assert job(database, held.job_id).status is Status.RUNNING


def test_renewing_prolongs_even_a_lease_that_ran_out_but_that_nobody_took(database: Database) -> None:
    submit(database)
    held = claim(database, lease_seconds=-1)
    with database.write() as session:
        jobs.renew(session, held, 60)
    assert expire(database) == 0


def test_a_flush_prolongs_the_lease(database: Database) -> None:
    submit(database)
    held = claim(database, lease_seconds=-1)
    store_epochs(database, held, 1, 1)
    assert expire(database) == 0


def test_an_expired_job_is_queued_again_with_a_crash(database: Database) -> None:
    submitted = submit(database, 2)
    held = claim(database, lease_seconds=-1)
    assert expire(database) == 1
    stored = job(database, held.job_id)
    assert (stored.status, stored.crashes, stored.worker, stored.lease_until) == (Status.QUEUED, 1, None, None)
    assert statuses(database, held.job_id) == [Status.QUEUED, Status.QUEUED]
    assert experiment(database, submitted.id).status is Status.QUEUED
    assert kinds(database, submitted.id)["crashed"] == 1
    check_all_adds_up(database)


def test_given_back_is_queued_again_without_a_crash(database: Database) -> None:
    submitted = submit(database)
    held = claim(database)
    with database.write() as session:
        jobs.give_back(session, held, "the service is shutting down")
    stored = job(database, held.job_id)
    assert (stored.status, stored.crashes) == (Status.QUEUED, 0)
    with database.read() as session:
        reasons = list(session.scalars(select(Event.reason).where(Event.experiment_id == submitted.id)))
    assert "the service is shutting down" in reasons
    check_all_adds_up(database)


def test_three_crashes_without_progress_fail_the_unfinished_runs(database: Database) -> None:
    submitted = submit(database, 2)
    for crash in range(3):
        held = claim(database, lease_seconds=-1)
        if crash == 0:
            finish(database, held, held.runs[0].run_id)
        assert expire(database) == 1
    assert try_claim(database) is None
    assert statuses(database, held.job_id) == [Status.SUCCEEDED, Status.FAILED]
    error = run(database, held.runs[1].run_id).error
    assert error is not None
    assert error["kind"] == "crashed"
    assert "3 times without progress" in error["detail"]
    assert experiment(database, submitted.id).status is Status.SUCCEEDED
    check_all_adds_up(database)


def test_the_error_names_how_the_worker_died(database: Database) -> None:
    submit(database)
    for _ in range(3):
        held = claim(database)
        with database.write() as session:
            assert jobs.release_worker(session, "slot-1", "killed by SIGSEGV") == [held.job_id]
    failed = run(database, held.runs[0].run_id)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert "SIGSEGV" in failed.error["detail"]


@pytest.mark.parametrize("progress", ["epochs", "state"])
def test_progress_forgives_the_crashes_before_it(database: Database, progress: str) -> None:
    submit(database)
    for epoch in range(1, 7):
        held = claim(database, lease_seconds=60)
        if progress == "epochs":
            store_epochs(database, held, epoch, epoch, lease_seconds=-1)
        else:
            with database.write() as session:
                checkpoints.put(session, held, run_id=None, kind="state", epoch=epoch, data=b"x")
                jobs.renew(session, held, -1)
        assert expire(database) == 1
        assert job(database, held.job_id).crashes == 1
    assert job(database, held.job_id).status is Status.QUEUED


def test_storing_the_same_epochs_and_state_again_is_no_progress(database: Database) -> None:
    submit(database)
    for crashes in (1, 2, 3):
        held = claim(database)
        store_epochs(database, held, 1, 2)
        with database.write() as session:
            checkpoints.put(session, held, run_id=None, kind="state", epoch=2, data=b"x")
            jobs.renew(session, held, -1)
        expire(database)
        assert job(database, held.job_id).crashes == crashes
    assert job(database, held.job_id).status is Status.FAILED


def test_releasing_a_worker_touches_no_other(database: Database) -> None:
    submit(database, 1, 1)
    first, second = claim(database, "slot-1"), claim(database, "slot-2")
    with database.write() as session:
        assert jobs.release_worker(session, "slot-1", "killed by SIGKILL") == [first.job_id]
    assert job(database, first.job_id).status is Status.QUEUED
    assert job(database, second.job_id).status is Status.RUNNING


def test_many_janitors_count_one_crash(database: Database, crew: Crew) -> None:
    submitted = submit(database, *[1] * 30)
    held = [claim(database, f"slot-{number}", lease_seconds=-1) for number in range(30)]
    expired = crew.do(database, *[("expire",)] * 4)
    assert sorted(job_id for of_janitor in expired for job_id in of_janitor) == sorted(
        str(each.job_id) for each in held
    )
    assert {job(database, each.job_id).crashes for each in held} == {1}
    assert kinds(database, submitted.id)["crashed"] == 30
    check_all_adds_up(database)
