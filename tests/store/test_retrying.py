from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from store import checkpoints, curves, events, experiments, jobs, runs
from store.engine import Database
from store.errors import LeaseLost, NotFound, NothingToRetry
from store.jobs import Claim
from store.retrying import RETRIED, retry
from store.status import Status
from tests.store.processes import Crew
from tests.store.samples import (
    check_all_adds_up,
    claim,
    experiment,
    finish,
    finish_all,
    job,
    run,
    statuses,
    store_epochs,
    submit,
    try_claim,
)
from tests.store.statements import counting


def again(database: Database, experiment_id: UUID, owner: str | None = None) -> int:
    with database.write() as session:
        return retry(session, experiment_id, owner)[1]


def fail(database: Database, held: Claim, run_id: UUID, kind: str = "internal") -> None:
    finish(database, held, run_id, Status.FAILED, kind=kind)


def cancel(database: Database, experiment_id: UUID) -> None:
    with database.write() as session:
        experiments.cancel(session, experiment_id)


def test_only_what_failed_or_was_cancelled_is_queued_again(database: Database) -> None:
    submitted = submit(database, 4)
    held = claim(database)
    store_epochs(database, held, 1, 4)
    members = [member.run_id for member in held.runs]
    finish(database, held, members[0])
    fail(database, held, members[1])
    finish(database, held, members[2], Status.CANCELLED)
    fail(database, held, members[3], "diverged")
    assert again(database, submitted.id) == 1
    assert [run(database, each).status for each in members] == ["succeeded", "queued", "queued", "failed"]
    now = experiment(database, submitted.id)
    assert (now.status, now.queued, now.succeeded, now.failed, now.cancelled) == (Status.QUEUED, 2, 1, 1, 0)
    assert (now.epochs_done, now.epochs_left, now.finished_at) == (4 + 4, 20, None)
    check_all_adds_up(database)


def test_the_runs_of_a_job_share_a_new_one_and_start_anew(database: Database) -> None:
    submitted = submit(database, 3, 1, priority=7)
    held, other = claim(database), claim(database)
    store_epochs(database, held, 1, 4)
    store_epochs(database, other, 1, 2)
    kept = held.runs[1].run_id
    with database.write() as session:
        checkpoints.put(session, held, run_id=kept, kind="epoch", epoch=4, data=b"weights")
    finish(database, held, held.runs[0].run_id)
    for member in held.runs[1:]:
        fail(database, held, member.run_id)
    fail(database, other, other.runs[0].run_id)
    assert again(database, submitted.id) == 2
    anew = claim(database)
    assert [(member.run_id, member.index, member.stored_epoch) for member in anew.runs] == [
        (held.runs[1].run_id, 0, 0),
        (held.runs[2].run_id, 1, 0),
    ]
    assert (anew.claims, anew.queue, job(database, anew.job_id).priority) == (1, "cpu", 7)
    assert anew.job_id != held.job_id
    with database.read() as session:
        assert curves.read(session, kept).epochs.tolist() == []
        assert checkpoints.of_run(session, kept) == []
        assert curves.read(session, held.runs[0].run_id).epochs.tolist() == [1, 2, 3, 4]
    stored = run(database, kept)
    assert (stored.error, stored.summary, stored.finished_at) == (None, None, None)
    finish_all(database, anew)
    finish_all(database, claim(database))
    assert experiment(database, submitted.id).status is Status.SUCCEEDED
    check_all_adds_up(database)


def test_a_cancelled_experiment_is_wanted_again(database: Database) -> None:
    submitted = submit(database, 2)
    held = claim(database)
    finish(database, held, held.runs[0].run_id)
    cancel(database, submitted.id)
    finish(database, held, held.runs[1].run_id, Status.CANCELLED)
    assert experiment(database, submitted.id).status is Status.CANCELLED
    again(database, submitted.id)
    assert not experiment(database, submitted.id).cancel_requested
    finish_all(database, claim(database))
    assert experiment(database, submitted.id).status is Status.SUCCEEDED
    check_all_adds_up(database)


def test_what_is_not_final_yet_is_left_alone(database: Database) -> None:
    submitted = submit(database, 1, 1, 1)
    held = claim(database)
    fail(database, held, held.runs[0].run_id)
    going_on = claim(database)
    assert again(database, submitted.id) == 1
    assert statuses(database, going_on.job_id) == [Status.RUNNING]
    store_epochs(database, going_on, 1, 10)
    finish_all(database, going_on)
    now = experiment(database, submitted.id)
    assert (now.status, now.queued, now.succeeded) == (Status.QUEUED, 2, 1)
    check_all_adds_up(database)


def succeed(database: Database, submitted: UUID) -> None:
    finish_all(database, claim(database))


def diverge(database: Database, submitted: UUID) -> None:
    finish_all(database, claim(database), Status.FAILED)


def wait(database: Database, submitted: UUID) -> None:
    assert experiment(database, submitted).status is Status.QUEUED


def be_cancelled(database: Database, submitted: UUID) -> None:
    """Asked for while it runs: its worker has not answered yet."""
    claim(database)
    cancel(database, submitted)


@pytest.mark.parametrize("do", [succeed, diverge, wait, be_cancelled])
def test_where_nothing_failed_there_is_nothing_to_retry(
    database: Database, do: Callable[[Database, UUID], Any]
) -> None:
    submitted = submit(database)
    do(database, submitted.id)
    before = experiment(database, submitted.id)
    with pytest.raises(NothingToRetry, match=str(submitted.id)):
        again(database, submitted.id)
    now = experiment(database, submitted.id)
    assert (now.seq, now.status, now.cancel_requested) == (before.seq, before.status, before.cancel_requested)


def test_somebody_elses_experiment_is_not_there(database: Database) -> None:
    submitted = submit(database, owner="ann")
    cancel(database, submitted.id)
    with pytest.raises(NotFound):
        again(database, submitted.id, "bob")
    assert again(database, submitted.id, "ann") == 1


def test_retrying_twice_is_retrying_once(database: Database, crew: Crew) -> None:
    submitted = submit(database, 2, 1)
    cancel(database, submitted.id)
    retried = crew.do(database, *[("retry_experiment", str(submitted.id))] * 4)
    assert sorted(retried) == [0, 0, 0, 2]
    claimed = [claim(database), claim(database)]
    assert sorted(len(held.runs) for held in claimed) == [1, 2]
    assert try_claim(database) is None
    check_all_adds_up(database)


def test_who_lost_the_job_before_it_failed_writes_nothing_into_its_retry(database: Database) -> None:
    submitted = submit(database)
    for _ in range(3):
        held = claim(database)
        with database.write() as session:
            jobs.release_worker(session, "slot-1", "killed by SIGKILL")
    assert again(database, submitted.id) == 1
    anew = claim(database)
    assert anew.runs[0].run_id == held.runs[0].run_id
    with pytest.raises(LeaseLost):
        store_epochs(database, held, 1, 3)
    assert run(database, held.runs[0].run_id).epochs_done == 0
    check_all_adds_up(database)


def test_a_run_has_a_history_with_both_its_lives(database: Database) -> None:
    submitted = submit(database, 2)
    held = claim(database)
    failed, cancelled = (member.run_id for member in held.runs)
    fail(database, held, failed)
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    with database.write() as session:
        runs.cancel(session, cancelled)
    again(database, submitted.id)
    finish_all(database, claim(database, "slot-2"))
    retried, rerun = ("queued", RETRIED), ("running", "claimed by slot-2")
    assert history(database, failed) == [
        ("running", "claimed by slot-1"),
        ("failed", "the loss became infinite"),
        retried,
        rerun,
        ("succeeded", None),
    ]
    assert history(database, cancelled) == [
        ("running", "claimed by slot-1"),
        ("queued", "shut down"),
        ("cancelled", "its cancel was asked for"),
        retried,
        rerun,
        ("succeeded", None),
    ]


def history(database: Database, run_id: UUID) -> list[tuple[str | None, str | None]]:
    with database.read() as session:
        return [(event.status, event.reason) for event in events.of_run(session, run_id)]


def test_many_jobs_are_retried_in_few_statements(database: Database) -> None:
    submitted = submit(database, *[5] * 60)
    cancel(database, submitted.id)
    with counting(database) as statements:
        assert again(database, submitted.id) == 60
    assert len(statements) < 30
    check_all_adds_up(database)


def test_what_trained_on_the_cpu_does_so_again_whoever_takes_it(database: Database) -> None:
    submitted = submit(database)
    finish_all(database, claim(database, device="cpu"), Status.CANCELLED)
    again(database, submitted.id)
    assert claim(database, device="cuda:0").device == "cpu"
