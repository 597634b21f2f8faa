import math
from itertools import product

import pytest

from store import jobs, runs
from store.engine import Database
from store.identifiers import new_id
from store.runs import Outcome
from store.status import FINAL, Status
from tests.store.samples import (
    check_all_adds_up,
    claim,
    experiment,
    finish,
    finish_all,
    job,
    run,
    statuses,
    submit,
)
from tests.store.statements import counting


def test_the_job_ends_with_its_last_run_and_the_experiment_with_its_last_job(database: Database) -> None:
    submitted = submit(database, 2, 1)
    held = claim(database)
    assert finish(database, held, held.runs[0].run_id)
    assert job(database, held.job_id).status is Status.RUNNING
    assert finish(database, held, held.runs[1].run_id)
    assert job(database, held.job_id).status is Status.SUCCEEDED
    assert experiment(database, submitted.id).status is Status.QUEUED  # nothing runs, one job waits
    finish_all(database, claim(database))
    assert experiment(database, submitted.id).status is Status.SUCCEEDED
    check_all_adds_up(database)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((Status.SUCCEEDED, Status.FAILED), Status.SUCCEEDED),
        ((Status.SUCCEEDED, Status.CANCELLED), Status.SUCCEEDED),
        ((Status.FAILED, Status.FAILED), Status.FAILED),
        ((Status.FAILED, Status.CANCELLED), Status.CANCELLED),
        ((Status.CANCELLED, Status.CANCELLED), Status.CANCELLED),
    ],
)
def test_the_ends_of_runs_add_up(database: Database, ends: tuple[Status, ...], expected: Status) -> None:
    submitted = submit(database, len(ends))
    held = claim(database)
    with database.write() as session:
        outcomes = [Outcome(run.run_id, end, {}) for run, end in zip(held.runs, ends, strict=True)]
        assert runs.finish_all(session, held, outcomes) == {run.run_id for run in held.runs}
    assert statuses(database, held.job_id) == list(ends)
    assert job(database, held.job_id).status is expected
    assert experiment(database, submitted.id).status is expected
    check_all_adds_up(database)


@pytest.mark.parametrize(("first", "second"), list(product(sorted(FINAL), repeat=2)))
def test_a_final_run_never_changes(database: Database, first: Status, second: Status) -> None:
    submit(database, 2)
    held = claim(database)
    run_id = held.runs[0].run_id
    assert finish(database, held, run_id, first)
    ended = run(database, run_id)
    assert not finish(database, held, run_id, second)
    with database.write() as session:
        jobs.release_worker(session, "slot-1", "killed by SIGKILL", max_crashes=1)
    now = run(database, run_id)
    assert (now.status, now.finished_at, now.error) == (first, ended.finished_at, ended.error)
    check_all_adds_up(database)


def test_a_run_ends_with_its_summary_and_error(database: Database) -> None:
    submit(database)
    held = claim(database)
    summary = {"train_loss": {"last": math.inf, "min": 0.5, "min_epoch": 3}, "odd": [math.nan, 1]}
    with database.write() as session:
        error = {"kind": "diverged", "detail": "the loss became infinite", "loss": -math.inf}
        runs.finish(session, held, held.runs[0].run_id, Status.FAILED, summary, error)
    ended = run(database, held.runs[0].run_id)
    assert ended.summary == {"train_loss": {"last": None, "min": 0.5, "min_epoch": 3}, "odd": [None, 1]}
    assert ended.error == {"kind": "diverged", "detail": "the loss became infinite", "loss": None}


@pytest.mark.parametrize("status", sorted(FINAL))
def test_only_a_success_keeps_its_result_key(database: Database, status: Status) -> None:
    submit(database)
    held = claim(database)
    assert finish(database, held, held.runs[0].run_id, status, "f" * 64)
    assert run(database, held.runs[0].run_id).result_key == ("f" * 64 if status is Status.SUCCEEDED else None)


def test_a_result_key_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        Outcome(new_id(), Status.SUCCEEDED, {}, None, "f" * 65)


def test_a_stack_of_many_runs_ends_in_few_statements(database: Database) -> None:
    submitted = submit(database, 1500)
    held = claim(database)
    summaries = {member.run_id: {"loss": {"last": member.index / 7}} for member in held.runs}
    with counting(database) as statements, database.write() as session:
        ends = [Outcome(run_id, Status.SUCCEEDED, summary) for run_id, summary in summaries.items()]
        assert runs.finish_all(session, held, ends) == set(summaries)
    assert len(statements) < 15
    with database.read() as session:
        assert {member.id: member.summary for member in runs.of_job(session, held.job_id)} == summaries
    assert experiment(database, submitted.id).succeeded == 1500


def test_a_run_of_another_job_is_not_ended(database: Database) -> None:
    submit(database, 1, 1)
    held, other = claim(database), claim(database)
    assert not finish(database, held, other.runs[0].run_id)
    assert run(database, other.runs[0].run_id).status is Status.RUNNING


def test_the_same_run_twice_among_many_ends_once(database: Database) -> None:
    submitted = submit(database, 2)
    held = claim(database)
    with database.write() as session:
        runs.finish_all(session, held, [Outcome(held.runs[0].run_id, Status.SUCCEEDED, {})] * 2)
    assert experiment(database, submitted.id).succeeded == 1
    check_all_adds_up(database)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_a_run_cannot_end_unfinished(database: Database, status: Status) -> None:
    submit(database)
    held = claim(database)
    with pytest.raises(ValueError, match="cannot end as"):
        finish(database, held, held.runs[0].run_id, status)
