"""An earlier result that answers a run: what is copied, and how it stands there."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from store import checkpoints, curves, deleting, events, jobs, runs
from store.checkpoints import NewCheckpoint
from store.engine import Database
from store.errors import CheckpointDamaged
from store.status import Status
from store.tables import CheckpointChunk, Experiment, Flush, Run
from tests.store.reusing import keep, last_weights, result, reuse, train
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
    store_history,
    submit,
)
from tests.store.statements import counting
from tests.store.strategies import History, histories

SUMMARY = {"train_loss": {"last": 0.1, "min": 1e-300, "min_epoch": 3}, "odd": None}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    past=st.lists(histories(), min_size=1, max_size=3),
    weights=st.binary(max_size=5000),
    again=st.integers(1, 3),
)
def test_a_reused_result_is_the_earlier_one_bit_for_bit(
    database: Database, past: list[History], weights: bytes, again: int
) -> None:
    with database.write() as session:
        session.execute(delete(Experiment))
    submit(database, len(past))
    trained = claim(database)
    for member, history in zip(trained.runs, past, strict=True):
        store_history(database, trained, member.run_id, history)
        kinds: list[checkpoints.Kind] = ["last", "best", "epoch"]
        items = [NewCheckpoint(member.run_id, kind, 7, weights + kind.encode()) for kind in kinds]
        keep(database, trained, member.run_id, items)
        with database.write() as session:
            runs.finish(session, trained, member.run_id, Status.SUCCEEDED, SUMMARY, None, f"key {member.index}")
    for _ in range(again):
        submitted = submit(database, len(past))
        held = claim(database)
        assert reuse(database, held, [f"key {column}" for column in range(len(past))]) == set(range(len(past)))
        for source, copy in zip(trained.runs, held.runs, strict=True):
            assert result(database, copy.run_id) == result(database, source.run_id)
            assert run(database, copy.run_id).reused_from == source.run_id
        assert experiment(database, submitted.id).epochs_done == sum(int(epochs[-1]) for epochs, _, _ in past)
    check_all_adds_up(database)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "CHUNK_BYTES", 1000)


@pytest.mark.usefixtures("small_chunks")
def test_checkpoints_of_many_chunks_are_copied_whole(database: Database) -> None:
    submit(database)
    trained = claim(database)
    data = bytes(number % 251 for number in range(4500))
    keep(database, trained, trained.runs[0].run_id, [NewCheckpoint(trained.runs[0].run_id, "last", 1, data)])
    finish_all(database, trained, result_key="a")
    submit(database)
    held = claim(database)
    assert reuse(database, held, ["a"]) == {0}
    assert last_weights(database, held.runs[0].run_id) == data
    assert len(result(database, held.runs[0].run_id)[-1][0]) == 4 + 5


def test_when_all_is_there_already_job_and_experiment_end(database: Database) -> None:
    trained = train(database, "a", "b")
    submitted = submit(database, 2)
    held = claim(database)
    assert reuse(database, held, ["a", "b"]) == {0, 1}
    assert job(database, held.job_id).status is Status.SUCCEEDED
    now = experiment(database, submitted.id)
    assert (now.status, now.succeeded, now.epochs_done) == (Status.SUCCEEDED, 2, 6)
    with database.read() as session:
        told = events.of_experiment(session, submitted.id, after_seq=now.seq - 1)
        flushed = session.execute(select(Flush.seq, Flush.job_id, Flush.first_epoch, Flush.last_epoch)).all()
    assert [(event.run_id, event.status, event.reason) for event in told] == [
        (held.runs[0].run_id, "succeeded", f"reused the result of run {trained.runs[0].run_id}"),
        (held.runs[1].run_id, "succeeded", f"reused the result of run {trained.runs[1].run_id}"),
        (None, "succeeded", "its last run ended"),
        (None, "succeeded", "its last run ended"),
    ]
    assert tuple(flushed[-1]) == (now.seq, held.job_id, 1, 3)
    check_all_adds_up(database)


def test_what_is_new_trains_and_a_later_claim_knows_what_was_reused(database: Database) -> None:
    train(database, "a", "c")
    submitted = submit(database, 4)
    held = claim(database)
    assert [member.reused for member in held.runs] == [False] * 4
    assert reuse(database, held, ["a", "b", "c", "d"]) == {0, 2}
    assert statuses(database, held.job_id) == ["succeeded", "running", "succeeded", "running"]
    store_epochs(database, held, 1, 2)
    finish(database, held, held.runs[1].run_id, result_key="b")
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    again = claim(database)
    assert [member.reused for member in again.runs] == [True, False, True, False]
    assert [member.stored_epoch for member in again.runs] == [3, 2, 3, 2]
    finish(database, again, again.runs[3].run_id)
    now = experiment(database, submitted.id)
    assert (now.status, now.succeeded, now.epochs_done) == (Status.SUCCEEDED, 4, 10)
    check_all_adds_up(database)


def test_the_newest_result_is_taken(database: Database) -> None:
    train(database, "a")
    newer = train(database, "a")
    train(database, "b")
    submit(database)
    held = claim(database)
    assert reuse(database, held, ["a"]) == {0}
    assert run(database, held.runs[0].run_id).reused_from == newer.runs[0].run_id


def test_one_result_may_answer_several_runs(database: Database) -> None:
    trained = train(database, "a")
    submit(database, 3)
    held = claim(database)
    assert reuse(database, held, ["a", "b", "a"]) == {0, 2}
    assert result(database, held.runs[2].run_id) == result(database, trained.runs[0].run_id)
    check_all_adds_up(database)


def test_a_copy_of_a_copy_names_the_run_that_was_trained_also_when_that_is_gone(database: Database) -> None:
    trained = train(database, "a")
    for _ in range(2):
        submit(database)
        held = claim(database)
        assert reuse(database, held, ["a"]) == {0}
        assert run(database, held.runs[0].run_id).reused_from == trained.runs[0].run_id
    with database.write() as session:
        session.execute(delete(Experiment).where(Experiment.id == trained.experiment_id))
    submit(database)
    last = claim(database)
    assert reuse(database, last, ["a"]) == {0}
    assert run(database, last.runs[0].run_id).reused_from == trained.runs[0].run_id
    assert last_weights(database, last.runs[0].run_id) == b"a"
    check_all_adds_up(database)


def test_a_result_that_is_being_deleted_is_taken_whole_or_not_at_all(database: Database) -> None:
    trained = train(database, "a")
    submit(database)
    held = claim(database)
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            session.execute(delete(Experiment).where(Experiment.id == trained.experiment_id))
            answered = pool.submit(reuse, database, held, ["a"])
        assert answered.result(timeout=30) == set()
    assert run(database, held.runs[0].run_id).status is Status.RUNNING
    check_all_adds_up(database)


def test_what_was_deleted_answers_nothing_while_its_rows_go(database: Database) -> None:
    older, newer = train(database, "a"), train(database, "a")
    with database.write() as session:
        deleting.delete_experiment(session, newer.experiment_id)
        deleting.purge(session)
    submit(database)
    held = claim(database)
    reuse(database, held, ["a"])
    assert run(database, held.runs[0].run_id).reused_from == older.runs[0].run_id


def test_a_damaged_checkpoint_is_noticed_in_the_copy_too(database: Database) -> None:
    train(database, "a")
    with database.write() as session:
        session.execute(update(CheckpointChunk).values(data=b"something else"))
    submit(database)
    held = claim(database)
    assert reuse(database, held, ["a"]) == {0}
    with pytest.raises(CheckpointDamaged):
        last_weights(database, held.runs[0].run_id)


def test_a_result_without_epochs_is_no_flush(database: Database) -> None:
    submit(database)
    finish_all(database, claim(database), result_key="a")
    submit(database)
    held = claim(database)
    assert reuse(database, held, ["a"]) == {0}
    with database.read() as session:
        assert session.scalar(select(Flush)) is None
        assert curves.read(session, held.runs[0].run_id).epochs.size == 0


def test_a_thousand_runs_are_answered_each_by_its_own_in_few_statements(database: Database) -> None:
    keys = [f"{column:064d}" for column in range(1000)]
    submit(database, 1000)
    trained = claim(database)
    store_epochs(database, trained, 1, 3)
    with database.write() as session:
        ends = [runs.Outcome(member.run_id, Status.SUCCEEDED, {}, None, keys[member.index]) for member in trained.runs]
        runs.finish_all(session, trained, ends)
    submitted = submit(database, 1000)
    held = claim(database)
    with counting(database) as statements:
        assert reuse(database, held, keys) == set(range(1000))
    assert len(statements) < 30
    assert experiment(database, submitted.id).epochs_done == 3000
    with database.read() as session:
        sources = dict(session.execute(select(Run.number, Run.reused_from).where(Run.job_id == held.job_id)).all())
    assert sources == {member.index: member.run_id for member in trained.runs}
