"""What is not answered by an earlier result."""

import pytest

from store import jobs
from store.checkpoints import NewCheckpoint
from store.engine import Database
from store.errors import LeaseLost
from store.reuse import reuse_earlier
from store.status import Status
from tests.store.reusing import keep, reuse, train
from tests.store.samples import (
    check_all_adds_up,
    claim,
    experiment,
    finish,
    finish_all,
    run,
    store_epochs,
    submit,
)


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_only_successes_are_reused(database: Database, status: Status) -> None:
    submit(database)
    finish_all(database, claim(database), status, result_key="a")
    submit(database)
    assert reuse(database, claim(database), ["a"]) == set()


def test_only_results_of_the_same_owner_are_reused(database: Database) -> None:
    train(database, "a", owner="ann")
    submit(database, owner="bob")
    held = claim(database)
    assert reuse(database, held, ["a"]) == set()
    assert run(database, held.runs[0].run_id).status is Status.RUNNING


def test_runs_that_nothing_answers_stay_as_they_are(database: Database) -> None:
    submitted = submit(database, 2)
    held = claim(database)
    before = experiment(database, submitted.id).seq
    assert reuse(database, held, ["a", "a"]) == set()
    with database.write() as session:
        assert reuse_earlier(session, held, {}) == set()
    assert experiment(database, submitted.id).seq == before
    check_all_adds_up(database)


def test_only_running_runs_of_the_claimed_job_are_answered(database: Database) -> None:
    train(database, "a")
    submitted = submit(database, 2, 1)
    held, other = claim(database), claim(database)
    finish(database, held, held.runs[0].run_id, Status.FAILED)
    with database.write() as session:
        every = {member.run_id: "a" for member in (*held.runs, *other.runs)}
        assert reuse_earlier(session, held, every) == {held.runs[1].run_id}
    assert run(database, other.runs[0].run_id).status is Status.RUNNING
    now = experiment(database, submitted.id)
    assert (now.failed, now.succeeded, now.running) == (1, 1, 1)
    check_all_adds_up(database)


@pytest.mark.parametrize("stored", ["an epoch", "a state"])
def test_a_stack_that_has_trained_already_keeps_its_columns(database: Database, stored: str) -> None:
    submit(database, 2)
    held = claim(database)
    if stored == "an epoch":
        store_epochs(database, held, 1, 1)
    else:
        keep(database, held, held.runs[0].run_id, [NewCheckpoint(None, "state", 1, b"state")])
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    submit(database, priority=1)
    finish_all(database, claim(database), result_key="a")
    again = claim(database)
    assert again.job_id == held.job_id
    assert reuse(database, again, ["a", "a"]) == set()


def test_a_stack_that_has_stored_nothing_but_copies_may_take_more(database: Database) -> None:
    train(database, "a")
    submit(database, 2)
    held = claim(database)
    assert reuse(database, held, ["a", "b"]) == {0}
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    submit(database, priority=1)
    finish_all(database, claim(database), result_key="b")
    assert reuse(database, claim(database), ["a", "b"]) == {1}
    check_all_adds_up(database)


def test_who_has_lost_the_lease_reuses_nothing(database: Database) -> None:
    train(database, "a")
    submit(database)
    held = claim(database)
    with database.write() as session:
        jobs.release_worker(session, "slot-1", "killed by SIGKILL")
    with pytest.raises(LeaseLost):
        reuse(database, held, ["a"])
    assert run(database, held.runs[0].run_id).status is Status.QUEUED
