from collections import Counter
from uuid import UUID

import pytest

from store import experiments, jobs
from store.engine import Database
from store.experiments import NewJob
from store.status import Status
from tests.store.processes import Crew
from tests.store.samples import (
    SPEC,
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
    wait_for_the_next_millisecond,
)


def claimed_order(database: Database) -> list[UUID]:
    order = []
    while (held := try_claim(database)) is not None:
        order.append(held.experiment_id)
        finish_all(database, held)
        wait_for_the_next_millisecond(database)
    return order


def test_nothing_to_claim_is_none(database: Database) -> None:
    assert try_claim(database) is None


def test_a_claim_tells_what_to_train(database: Database) -> None:
    submitted = submit(database, 2)
    held = claim(database, "slot-7", device="cpu", threads=2)
    assert held.experiment_id == submitted.id
    assert (held.fence, held.claims, held.queue, held.worker) == (1, 1, "cpu", "slot-7")
    assert (held.device, held.threads) == ("cpu", 2)
    assert [(run.index, run.spec, run.stored_epoch, run.status) for run in held.runs] == [
        (0, SPEC, 0, Status.RUNNING),
        (1, SPEC, 0, Status.RUNNING),
    ]


def test_claimed_runs_and_their_experiment_are_running(database: Database) -> None:
    submitted = submit(database, 2, 1)
    held = claim(database)
    assert statuses(database, held.job_id) == [Status.RUNNING, Status.RUNNING]
    now = experiment(database, submitted.id)
    assert (now.status, now.queued, now.running) == (Status.RUNNING, 1, 2)
    assert now.started_at is not None
    check_all_adds_up(database)


def test_the_oldest_job_is_claimed_first(database: Database) -> None:
    submitted = [submit(database).id for _ in range(3)]
    assert claimed_order(database) == submitted


def test_a_higher_priority_goes_before_age(database: Database) -> None:
    low, high, middle = (submit(database, priority=priority).id for priority in (0, 9, 5))
    assert claimed_order(database) == [high, middle, low]


def test_the_owner_with_fewer_running_jobs_goes_before_age(database: Database) -> None:
    for _ in range(3):
        submit(database, owner="ann")
    bob = submit(database, owner="bob")
    assert claim(database).experiment_id != bob.id  # nothing runs yet, so age decides
    assert claim(database).experiment_id == bob.id


def test_owners_take_turns_even_where_one_worker_trains_one_job_after_the_other(database: Database) -> None:
    submitted = [submit(database, owner=owner).id for owner in ("ann", "ann", "ann", "ann", "bob", "bob", "cid")]
    owners = dict(zip(submitted, ("ann", "ann", "ann", "ann", "bob", "bob", "cid"), strict=True))
    assert [owners[each] for each in claimed_order(database)] == ["ann", "bob", "cid", "ann", "bob", "ann", "ann"]


def test_who_comes_late_waits_for_no_more_than_one_job_of_each_owner(database: Database) -> None:
    for _ in range(5):
        submit(database, owner="ann")
    finish_all(database, claim(database))
    late = submit(database, owner="bob")
    assert claim(database).experiment_id == late.id


def test_priority_goes_before_fairness(database: Database) -> None:
    submit(database, owner="ann", priority=1)
    busy = submit(database, owner="ann", priority=1)
    submit(database, owner="bob")
    claim(database)
    assert claim(database).experiment_id == busy.id


def test_only_the_workers_queues_are_looked_at(database: Database) -> None:
    gpu, cpu = submit(database, queue="gpu"), submit(database, queue="cpu")
    assert claim(database, queues=["cpu"]).experiment_id == cpu.id
    assert try_claim(database, queues=["cpu"]) is None
    assert claim(database, queues=["gpu", "cpu"]).experiment_id == gpu.id


def test_each_owner_of_each_queue_and_priority_gets_its_turn(database: Database) -> None:
    submitted = {
        submit(database, queue=queue, priority=priority, owner=owner).id
        for queue in ("cpu", "gpu")
        for priority in (-1, 0, 1)
        for owner in ("ann", "bob", "cid")
        for _ in range(2)
    }
    claimed = [claim(database, queues=["gpu", "cpu"]) for _ in submitted]
    assert {held.experiment_id for held in claimed} == submitted
    priorities = [experiment(database, held.experiment_id).priority for held in claimed]
    assert priorities == sorted(priorities, reverse=True)


def test_eight_processes_claim_each_job_once(database: Database, crew: Crew) -> None:
    submitted = [submit(database, owner=f"owner-{number % 5}", priority=number % 2).id for number in range(120)]
    claimed = crew.do(database, *[("claim_until_empty", f"slot-{number}") for number in range(8)])
    counts = Counter(job_id for of_worker in claimed for job_id in of_worker)
    assert len(counts) == len(submitted)
    assert set(counts.values()) == {1}
    assert {job(database, UUID(job_id)).fence for job_id in counts} == {1}
    check_all_adds_up(database)


def test_several_processes_train_everything_once(database: Database, crew: Crew) -> None:
    submitted = submit(database, *[2] * 20)
    workers = [("train_until_empty", f"slot-{number}") for number in range(4)]
    janitors = [("expire",)] * 2
    results = crew.do(database, *workers, *janitors)
    assert sum(results[:4]) == 20
    now = experiment(database, submitted.id)
    assert (now.status, now.succeeded, now.epochs_done) == (Status.SUCCEEDED, 40, 40 * 3)
    check_all_adds_up(database)


def test_the_fence_grows_with_every_claim(database: Database) -> None:
    submit(database)
    fences = []
    for number in range(4):
        held = claim(database)
        fences.append(held.fence)
        with database.write() as session:
            if number % 2:
                jobs.give_back(session, held, "shut down")
            else:
                jobs.release_worker(session, "slot-1", "killed by SIGKILL", max_crashes=99)
    assert fences == [1, 2, 3, 4]


def test_a_resumed_claim_knows_what_is_stored_and_what_is_final(database: Database) -> None:
    submit(database, 2)
    held = claim(database)
    store_epochs(database, held, 1, 4)
    finish(database, held, held.runs[0].run_id)
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    again = claim(database)
    assert [(run.stored_epoch, run.status) for run in again.runs] == [(4, Status.SUCCEEDED), (4, Status.RUNNING)]
    assert again.claims == 2


def test_device_and_threads_stay_those_of_the_first_claim(database: Database) -> None:
    submitted = submit(database)
    first = claim(database, device="cpu", threads=2)
    with database.write() as session:
        jobs.give_back(session, first, "shut down")
    again = claim(database, device="cpu", threads=1)
    assert (again.device, again.threads) == ("cpu", 2)
    assert "resumed_elsewhere" not in kinds(database, submitted.id)


def test_another_device_takes_the_job_over_and_says_so(database: Database) -> None:
    submitted = submit(database)
    first = claim(database, device="cuda:0", threads=2)
    with database.write() as session:
        jobs.give_back(session, first, "shut down")
    again = claim(database, device="cpu", threads=1)
    assert (again.device, again.threads) == ("cpu", 1)
    stored = job(database, again.job_id)
    assert (stored.device, stored.threads) == ("cpu", 1)
    assert kinds(database, submitted.id)["resumed_elsewhere"] == 1


def test_queued_jobs_are_counted_by_queue(database: Database) -> None:
    submit(database, 1, 1, 1)
    submit(database, queue="gpu")
    claim(database)
    with database.read() as session:
        assert jobs.queued(session) == {"cpu": 2, "gpu": 1}


def test_started_at_is_the_first_start(database: Database) -> None:
    submit(database)
    first = claim(database)
    started_at = run(database, first.runs[0].run_id).started_at
    assert started_at is not None
    with database.write() as session:
        jobs.give_back(session, first, "shut down")
    claim(database)
    assert run(database, first.runs[0].run_id).started_at == started_at


@pytest.mark.parametrize("stacks", [(), (1, 0)])
def test_an_experiment_without_runs_is_refused(database: Database, stacks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        submit(database, *(stacks or (0,)))


def test_who_holds_a_job_is_known_until_it_ends(database: Database) -> None:
    submit(database, 1, 1, 1)
    first, second = claim(database, "slot-1"), claim(database, "slot-2")
    assert holders(database) == {"slot-1", "slot-2"}
    finish_all(database, first)
    with database.write() as session:
        jobs.give_back(session, second, "shut down")
    assert holders(database) == set()


def holders(database: Database) -> set[str]:
    with database.read() as session:
        return set(jobs.holders(session))


def test_a_job_for_the_cpu_is_trained_there_by_a_worker_with_a_card_too(database: Database) -> None:
    with database.write() as session:
        new = NewJob("cpu", [SPEC], device="cpu")
        submitted = experiments.create(session, request={}, owner="ann", jobs=[new], code_version="1")
    held = claim(database, device="cuda H200", threads=3)
    assert (held.device, held.threads) == ("cpu", 3)
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    again = claim(database, device="cuda H200", threads=1)
    assert (again.device, again.threads) == ("cpu", 3)
    assert "resumed_elsewhere" not in kinds(database, submitted.id)
