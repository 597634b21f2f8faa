import pytest

from store import experiments, jobs, runs
from store.engine import Database
from store.errors import AlreadyFinal, NotFound
from store.identifiers import new_id
from store.status import FINAL, Status
from tests.store.samples import (
    check_all_adds_up,
    claim,
    experiment,
    finish,
    finish_all,
    job,
    kinds,
    run,
    statuses,
    store_epochs,
    submit,
    try_claim,
)


def test_a_queued_experiment_is_cancelled_at_once(database: Database) -> None:
    submitted = submit(database, 2, 1)
    with database.write() as session:
        now = experiments.cancel(session, submitted.id)
    assert (now.status, now.cancelled, now.queued) == (Status.CANCELLED, 3, 0)
    assert now.finished_at is not None
    assert try_claim(database) is None
    check_all_adds_up(database)


def test_a_running_experiment_is_asked_to_stop(database: Database) -> None:
    submitted = submit(database, 2, 1)
    held = claim(database)
    with database.write() as session:
        now = experiments.cancel(session, submitted.id)
    assert (now.status, now.cancel_requested, now.running, now.cancelled) == (Status.RUNNING, True, 2, 1)
    assert store_epochs(database, held, 1, 1) == {run.run_id for run in held.runs}
    finish_all(database, held, Status.CANCELLED)
    assert experiment(database, submitted.id).status is Status.CANCELLED
    check_all_adds_up(database)


def test_asking_twice_is_asking_once(database: Database) -> None:
    submitted = submit(database)
    claim(database)
    for _ in range(2):
        with database.write() as session:
            assert experiments.cancel(session, submitted.id).status is Status.RUNNING
    assert kinds(database, submitted.id)["cancel_requested"] == 2  # the experiment's and its run's


@pytest.mark.parametrize("status", sorted(FINAL))
def test_what_has_ended_cannot_be_cancelled(database: Database, status: Status) -> None:
    submitted = submit(database)
    held = claim(database)
    finish_all(database, held, status)
    with pytest.raises(AlreadyFinal, match="already"), database.write() as session:
        experiments.cancel(session, submitted.id)
    with pytest.raises(AlreadyFinal, match="already"), database.write() as session:
        runs.cancel(session, held.runs[0].run_id)
    now = experiment(database, submitted.id)
    assert (now.status, now.cancel_requested) == (status, False)


def test_a_run_that_succeeds_before_it_hears_of_the_cancel_has_succeeded(database: Database) -> None:
    submitted = submit(database)
    held = claim(database)
    with database.write() as session:
        experiments.cancel(session, submitted.id)
    assert finish(database, held, held.runs[0].run_id, Status.SUCCEEDED)
    assert experiment(database, submitted.id).status is Status.SUCCEEDED
    check_all_adds_up(database)


def test_one_queued_run_of_a_stack_is_cancelled_and_the_rest_trains(database: Database) -> None:
    submitted = submit(database, 3)
    with database.read() as session:
        members = runs.page(session, owner=None, limit=9, newest_first=False).items
    with database.write() as session:
        assert runs.cancel(session, members[1].id).status is Status.CANCELLED
    held = claim(database)
    assert [run.status for run in held.runs] == [Status.RUNNING, Status.CANCELLED, Status.RUNNING]
    finish_all(database, held)
    now = experiment(database, submitted.id)
    assert (now.status, now.succeeded, now.cancelled) == (Status.SUCCEEDED, 2, 1)
    check_all_adds_up(database)


def test_cancelling_every_queued_run_cancels_job_and_experiment(database: Database) -> None:
    submitted = submit(database, 2)
    with database.read() as session:
        members = runs.page(session, owner=None, limit=9).items
    for member in members:
        with database.write() as session:
            runs.cancel(session, member.id)
    assert job(database, members[0].job_id).status is Status.CANCELLED
    assert experiment(database, submitted.id).status is Status.CANCELLED
    check_all_adds_up(database)


def test_one_running_run_is_asked_to_stop(database: Database) -> None:
    submit(database, 2)
    held = claim(database)
    with database.write() as session:
        now = runs.cancel(session, held.runs[0].run_id)
    assert (now.status, now.cancel_requested) == (Status.RUNNING, True)
    with database.read() as session:
        assert runs.cancels_asked(session, held.job_id) == {held.runs[0].run_id}
    assert store_epochs(database, held, 1, 1) == {held.runs[0].run_id}


@pytest.mark.parametrize("how", ["expire", "release_worker", "give_back"])
def test_a_cancel_outlives_the_worker_it_was_told(database: Database, how: str) -> None:
    submit(database, 2)
    held = claim(database, lease_seconds=-1)
    with database.write() as session:
        runs.cancel(session, held.runs[0].run_id)
    with database.write() as session:
        if how == "expire":
            jobs.expire(session)
        elif how == "release_worker":
            jobs.release_worker(session, "slot-1", "killed by SIGKILL")
        else:
            jobs.give_back(session, held, "shut down")
    assert statuses(database, held.job_id) == [Status.CANCELLED, Status.QUEUED]
    check_all_adds_up(database)


@pytest.mark.parametrize("max_crashes", [1, 3])
def test_a_cancelled_experiment_whose_worker_dies_is_cancelled_and_not_run_again(
    database: Database, max_crashes: int
) -> None:
    submitted = submit(database, 2)
    held = claim(database, lease_seconds=-1)
    with database.write() as session:
        experiments.cancel(session, submitted.id)
    with database.write() as session:
        assert jobs.expire(session, max_crashes=max_crashes) == [held.job_id]
    assert experiment(database, submitted.id).status is Status.CANCELLED
    assert job(database, held.job_id).status is Status.CANCELLED
    assert run(database, held.runs[0].run_id).error is None
    assert try_claim(database) is None
    check_all_adds_up(database)


def test_what_is_somebody_elses_is_not_found(database: Database) -> None:
    submitted = submit(database, owner="ann")
    with database.read() as session:
        run_id = runs.page(session, owner="ann", limit=1).items[0].id
    for wrong_id, wrong_run, owner in ((submitted.id, run_id, "bob"), (new_id(), new_id(), None)):
        with pytest.raises(NotFound), database.write() as session:
            experiments.cancel(session, wrong_id, owner)
        with pytest.raises(NotFound), database.write() as session:
            runs.cancel(session, wrong_run, owner)
    assert experiment(database, submitted.id).status is Status.QUEUED
