from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from store import curves, experiments, runs
from store.engine import Database
from store.experiments import NewJob
from store.jobs import Claim
from store.runs import RunResult
from store.status import Status
from store.tables import Experiment
from tests.store.samples import SPEC, claim, finish, store_epochs, store_history, submit
from tests.store.statements import Statements, counting
from tests.store.strategies import History, histories


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "RESULTS_AT_ONCE", 3)
    monkeypatch.setattr(curves, "CURVES_AT_ONCE", 3)


@pytest.fixture
def statements(database: Database) -> Iterator[Statements]:
    with counting(database) as statements:
        yield statements


def shuffled(database: Database, *stacks: list[int]) -> Experiment:
    """Submit an experiment whose runs lie in the stacks in another order than their numbers'."""
    new = [NewJob("cpu", [{**SPEC, "seed": number, "fold": 1} for number in numbers], numbers) for numbers in stacks]
    with database.write() as session:
        return experiments.create(session, request={}, owner="ann", jobs=new, code_version="1")


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("stacks", [[[0]], [[2, 0, 1]], [[3, 1], [0, 2]], [[6, 4, 2, 0], [1, 3, 5]]])
def test_results_come_in_order_of_number(database: Database, stacks: list[list[int]]) -> None:
    submit(database, 5)
    submitted = shuffled(database, *stacks)
    with database.read() as session:
        found = list(runs.results(session, submitted.id))
    assert [result.number for result in found] == sorted(number for stack in stacks for number in stack)
    assert [(result.spec["seed"], result.seed, result.data_seed, result.fold) for result in found] == [
        (result.number, result.number, 0, 1) for result in found
    ]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("numbers", [range(2, 6), range(0, 10, 3), range(1, 10, 4), range(8, 99), range(4, 4)])
def test_results_of_some_numbers(database: Database, numbers: range) -> None:
    submitted = submit(database, 10)
    with database.read() as session:
        found = [result.number for result in runs.results(session, submitted.id, numbers)]
    assert found == [number for number in numbers if number < 10]


def test_a_result_says_how_its_run_stands(database: Database) -> None:
    submitted = submit(database, 3)
    held = claim(database)
    summary = {"train_loss": {"last": 0.5}}
    with database.write() as session:
        runs.finish(session, held, held.runs[0].run_id, Status.SUCCEEDED, summary)
    finish(database, held, held.runs[1].run_id, Status.FAILED)
    with database.read() as session:
        found = list(runs.results(session, submitted.id))
    ids, error = [member.run_id for member in held.runs], {"kind": "diverged", "detail": "the loss became infinite"}
    assert found == [
        RunResult(ids[0], 0, SPEC, 0, 0, None, Status.SUCCEEDED, summary, None, None),
        RunResult(ids[1], 1, SPEC, 0, 0, None, Status.FAILED, {}, error, None),
        RunResult(ids[2], 2, SPEC, 0, 0, None, Status.RUNNING, None, None, None),
    ]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(past=st.lists(st.none() | histories(), min_size=1, max_size=8))
@pytest.mark.usefixtures("small_batches")
def test_all_curves_are_those_of_its_runs(database: Database, past: list[History | None]) -> None:
    with database.write() as session:
        session.execute(delete(Experiment))
    submitted = submit(database, len(past))
    held = claim(database)
    for member, history in zip(held.runs, past, strict=True):
        if history is not None:
            store_history(database, held, member.run_id, history)
    with database.read() as session:
        found = list(curves.of_experiment(session, submitted.id))
        alone = [curves.read(session, member.run_id) for member in held.runs]
    assert [(run.id, run.number) for run, _ in found] == [(member.run_id, member.index) for member in held.runs]
    for (_, curve), expected in zip(found, alone, strict=True):
        assert curve.epochs.tolist() == expected.epochs.tolist()
        assert list(curve.series) == list(expected.series)
        assert all(curve.series[name].tobytes() == expected.series[name].tobytes() for name in curve.series)


@pytest.mark.usefixtures("small_batches")
def test_curves_say_whose_they_are(database: Database) -> None:
    submitted = shuffled(database, [3, 1], [0, 2])
    store_epochs(database, claim(database), 1, 2)
    with database.read() as session:
        found = list(curves.of_experiment(session, submitted.id))
    assert [(run.number, run.seed, run.data_seed, run.fold, run.spec["seed"]) for run, _ in found] == [
        (number, number, 0, 1, number) for number in range(4)
    ]
    assert [curve.epochs.tolist() for _, curve in found] == [[], [1, 2], [], [1, 2]]


@pytest.fixture
def held(database: Database) -> Claim:
    submit(database, 5)
    held = claim(database)
    store_epochs(database, held, 1, 2)
    finish(database, held, held.runs[1].run_id)
    finish(database, held, held.runs[4].run_id)
    finish(database, held, held.runs[2].run_id, Status.FAILED)
    return held


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    ("statuses", "columns", "expected"),
    [
        ([Status.SUCCEEDED], None, [1, 4]),
        ([Status.FAILED, Status.RUNNING], None, [0, 2, 3]),
        ([], None, []),
        (None, [4, 0], [0, 4]),
        (None, [], []),
        ([Status.SUCCEEDED], [0, 1], [1]),
    ],
)
def test_curves_of_some_statuses_or_runs(
    database: Database, held: Claim, statuses: list[Status] | None, columns: list[int] | None, expected: list[int]
) -> None:
    run_ids = None if columns is None else [held.runs[column].run_id for column in columns]
    with database.read() as session:
        found = list(curves.of_experiment(session, held.experiment_id, statuses=statuses, run_ids=run_ids))
    assert [run.number for run, _ in found] == expected
    assert all(curve.epochs.tolist() == [1, 2] for _, curve in found)


def test_reading_takes_few_queries_however_many_runs_there_are(database: Database, statements: Statements) -> None:
    submitted = submit(database, 700, 700)
    for _ in range(2):
        held = claim(database)
        for first in (1, 3):
            store_epochs(database, held, first, first + 1)
    statements.clear()
    with database.read() as session:
        assert sum(1 for _ in runs.results(session, submitted.id)) == 1400
        assert len(statements) <= 3
        statements.clear()
        lengths = {curve.epochs.size for _, curve in curves.of_experiment(session, submitted.id)}
    assert lengths == {4}
    assert len(statements) <= 2 * 3 + 1


def test_a_metric_that_some_segments_lack_is_nan_there(database: Database) -> None:
    submitted = submit(database)
    held = claim(database)
    run_id = held.runs[0].run_id
    store_history(database, held, run_id, (np.array([1]), {"a": np.array([1.0])}, []))
    store_history(database, held, run_id, (np.array([2]), {"b": np.array([2.0]), "a": np.array([3.0])}, []))
    with database.read() as session:
        ((_, curve),) = curves.of_experiment(session, submitted.id)
    np.testing.assert_array_equal(curve.series["a"], [1.0, 3.0])
    np.testing.assert_array_equal(curve.series["b"], [np.nan, 2.0])
