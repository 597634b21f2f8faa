from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from store import experiments, runs
from store.engine import Database
from store.experiments import NewJob
from store.status import Status
from store.tables import Experiment, Job, Run
from tests.store.samples import SPEC, check_all_adds_up


def create(database: Database, *jobs: NewJob) -> Experiment:
    with database.write() as session:
        return experiments.create(session, request={}, owner="ann", jobs=jobs, code_version="1")


def stored(database: Database, submitted: Experiment) -> list[Run]:
    with database.read() as session:
        return list(session.scalars(select(Run).where(Run.experiment_id == submitted.id).order_by(Run.number)))


def spec(number: int, **more: Any) -> dict[str, Any]:
    return {**SPEC, "weight_decay": number / 7, **more}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_runs_keep_the_numbers_they_are_given_however_they_are_grouped(database: Database, data: st.DataObject) -> None:
    numbers = data.draw(st.permutations(range(data.draw(st.integers(1, 12)))))
    cut = data.draw(st.integers(1, len(numbers)))
    stacks = [stack for stack in (numbers[:cut], numbers[cut:]) if stack]
    submitted = create(database, *[NewJob("cpu", [spec(number) for number in stack], stack) for stack in stacks])
    found = stored(database, submitted)
    assert [run.number for run in found] == sorted(numbers)
    assert [run.spec for run in found] == [spec(number) for number in sorted(numbers)]
    with database.read() as session:
        for stack in stacks:
            (job_id,) = {run.job_id for run in found if run.number in stack}
            assert [run.number for run in runs.of_job(session, job_id)] == stack


def test_runs_without_numbers_are_numbered_through_the_jobs(database: Database) -> None:
    submitted = create(database, NewJob("cpu", [spec(0), spec(1)]), NewJob("cpu", [spec(2)]))
    assert [(run.number, run.stack_index, run.spec) for run in stored(database, submitted)] == [
        (0, 0, spec(0)),
        (1, 1, spec(1)),
        (2, 0, spec(2)),
    ]


@pytest.mark.parametrize("numbers", [[0, 0], [1, 2], [-1, 0], [0], [0, 1, 2]])
def test_numbers_that_are_not_each_once_are_refused(database: Database, numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="each once"):
        create(database, NewJob("cpu", [spec(0), spec(1)], numbers))


def test_columns_of_a_run_come_from_its_spec(database: Database) -> None:
    stacks = [
        [spec(0, seed=2**40, data_seed=7, fold=3), spec(1, fold=None)],
        [spec(2, epochs=25), spec(3, epochs=25)],
        [{"variant": "mlp", "epochs": 1}],
    ]
    submitted = create(database, *[NewJob("gpu", specs) for specs in stacks])
    found = stored(database, submitted)
    assert [(run.variant, run.epochs, run.seed, run.data_seed, run.fold) for run in found] == [
        ("polynomial", 10, 2**40, 7, 3),
        ("polynomial", 10, 0, 0, None),
        ("polynomial", 25, 0, 0, None),
        ("polynomial", 25, 0, 0, None),
        ("mlp", 1, None, None, None),
    ]
    assert (submitted.variant, submitted.total_epochs) == ("polynomial", 71)
    with database.read() as session:
        jobs = session.scalars(select(Job)).all()
    assert [(job.queue, job.status, job.fence, job.claims, job.crashes) for job in jobs] == [
        ("gpu", Status.QUEUED, 0, 0, 0)
    ] * 3


def test_a_sweep_of_many_stacks_is_whole(database: Database) -> None:
    stacks = [[spec(1000 * stack + column) for column in range(350)] for stack in range(4)]
    submitted = create(database, *[NewJob("cpu", stack) for stack in stacks])
    found = stored(database, submitted)
    assert [run.spec for run in found] == [spec for stack in stacks for spec in stack]
    assert (submitted.queued, submitted.total_runs, submitted.epochs_done) == (1400, 1400, 0)
    check_all_adds_up(database)


def test_what_is_not_finite_in_a_spec_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="JSON"):
        create(database, NewJob("cpu", [spec(0), {**SPEC, "learning_rate": float("nan")}]))
    with database.read() as session:
        assert session.scalar(select(Experiment)) is None
