from uuid import UUID

import pytest

from store import checkpoints, curves, flushes, jobs, runs
from store.engine import Database
from store.errors import LeaseLost
from store.history import SPLIT
from store.jobs import Claim
from store.splitting import split
from store.status import Status
from tests.store.samples import (
    check_all_adds_up,
    claim,
    experiment,
    finish,
    finish_all,
    job,
    kinds,
    run,
    store_epochs,
    submit,
    try_claim,
)

REASON = "it does not fit"


def cut(database: Database, held: Claim) -> None:
    with database.write() as session:
        split(session, held, REASON)
    check_all_adds_up(database)


def claimed_runs(held: Claim) -> list[UUID]:
    return [member.run_id for member in held.runs]


@pytest.mark.parametrize(("size", "halves"), [(2, (1, 1)), (5, (3, 2)), (8, (4, 4))])
def test_a_job_becomes_two_that_share_its_runs_in_their_order(
    database: Database, size: int, halves: tuple[int, int]
) -> None:
    submitted = submit(database, size, priority=3)
    held = claim(database, device="cuda H200", threads=4)
    cut(database, held)
    both = [claim(database, device="cuda H200", threads=4) for _ in range(2)]
    assert sorted(map(claimed_runs, both)) == sorted([claimed_runs(held)[: halves[0]], claimed_runs(held)[halves[0] :]])
    assert {(each.device, each.threads) for each in both} == {("cuda H200", 4)}
    assert {job(database, each.job_id).priority for each in both} == {3}
    for each in both:
        finish_all(database, each)
    assert experiment(database, submitted.id).status is Status.SUCCEEDED
    check_all_adds_up(database)


def test_halves_are_cut_again_until_there_is_one_run(database: Database) -> None:
    submit(database, 8)
    trained = []
    while (held := try_claim(database)) is not None:
        if len(held.runs) > 1:
            cut(database, held)
        else:
            trained += claimed_runs(held)
            finish_all(database, held)
    assert len(set(trained)) == 8
    check_all_adds_up(database)


def test_stored_curves_stay_and_the_state_of_the_whole_stack_goes(database: Database) -> None:
    submit(database, 4)
    held = claim(database)
    store_epochs(database, held, 1, 3)
    with database.write() as session:
        checkpoints.put(session, held, run_id=None, kind="state", epoch=3, data=b"of four runs")
        checkpoints.put(session, held, run_id=held.runs[3].run_id, kind="epoch", epoch=2, data=b"of one")
    cut(database, held)
    both = [claim(database) for _ in range(2)]
    with database.write() as session:
        assert [checkpoints.latest_state(session, each.job_id) for each in both] == [None, None]
        assert [kept.epoch for kept in checkpoints.of_run(session, held.runs[3].run_id)] == [2]
        assert curves.read(session, held.runs[3].run_id).epochs.tolist() == [1, 2, 3]
    assert {member.stored_epoch for each in both for member in each.runs} == {3}
    for each in both:
        store_epochs(database, each, 4, 10)
        finish_all(database, each)
    check_all_adds_up(database)


def test_final_runs_stay_in_the_job_they_ended_in_and_take_no_room(database: Database) -> None:
    submit(database, 4)
    held = claim(database)
    ids = claimed_runs(held)
    finish(database, held, ids[1], Status.FAILED)
    with database.write() as session:
        runs.cancel(session, ids[3])
    cut(database, held)
    assert run(database, ids[3]).status is Status.CANCELLED
    assert job(database, held.job_id).status in (Status.CANCELLED, Status.FAILED)
    assert sorted(claimed_runs(claim(database)) + claimed_runs(claim(database))) == sorted([ids[0], ids[2]])
    check_all_adds_up(database)


def test_the_only_run_left_is_queued_alone(database: Database) -> None:
    submit(database, 2)
    held = claim(database)
    finish(database, held, held.runs[0].run_id)
    cut(database, held)
    assert claimed_runs(claim(database)) == [held.runs[1].run_id]


def test_every_run_that_moves_is_told_of(database: Database) -> None:
    submitted = submit(database, 5)
    cut(database, claim(database))
    assert kinds(database, submitted.id)[SPLIT] == 2


def test_only_who_holds_a_job_can_cut_it(database: Database) -> None:
    submit(database, 2)
    lost = claim(database, lease_seconds=-1)
    with database.write() as session:
        jobs.expire(session)
    with database.write() as session, pytest.raises(LeaseLost):
        split(session, lost, REASON)
    held = claim(database)
    cut(database, held)
    claim(database)
    with database.write() as session, pytest.raises(LeaseLost):
        flushes.write(session, held, [], 10)
    check_all_adds_up(database)
