from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from store import checkpoints, curves, events, jobs, runs
from store.checkpoints import NewCheckpoint
from store.engine import Database
from store.errors import CheckpointDamaged, LeaseLost
from store.jobs import Claim
from store.reuse import reuse_earlier
from store.status import Status
from store.tables import CheckpointChunk, CurveSegment, Experiment, Flush, Run
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


def reuse(database: Database, held: Claim, keys: Sequence[str]) -> set[int]:
    """Reuse what there is under the keys of the claim's runs; returns the columns of those that were answered."""
    by_run = {member.run_id: key for member, key in zip(held.runs, keys, strict=True)}
    with database.write() as session:
        answered = reuse_earlier(session, held, by_run)
    return {member.index for member in held.runs if member.run_id in answered}


def train(database: Database, *keys: str, **more: Any) -> Claim:
    """Submit a stack, train it and keep its results under these keys."""
    submit(database, len(keys), **more)
    held = claim(database)
    store_epochs(database, held, 1, 3)
    for member, key in zip(held.runs, keys, strict=True):
        keep(database, held, member.run_id, [NewCheckpoint(member.run_id, "last", 3, key.encode())])
        finish(database, held, member.run_id, result_key=key)
    return held


def keep(database: Database, held: Claim, run_id: UUID, items: Sequence[NewCheckpoint]) -> None:
    with database.write() as session:
        checkpoints.put_all(session, held, items)


def last_weights(database: Database, run_id: UUID) -> bytes:
    with database.read() as session:
        return checkpoints.get(session, run_id, "last").data


def result(database: Database, run_id: UUID) -> list[Any]:
    """All there is of a run's result, byte for byte."""
    segment_columns = [column for column in CurveSegment.__table__.c if column.name != "run_id"]
    with database.read() as session:
        found = runs.get(session, run_id)
        segments = session.execute(
            select(*segment_columns).where(CurveSegment.run_id == run_id).order_by("first_epoch")
        )
        kept = [
            (row.kind, row.epoch, row.size, row.sha256, *session.scalars(chunks_of(row.id)))
            for row in checkpoints.of_run(session, run_id)
        ]
        return [found.summary, found.epochs_done, [tuple(row) for row in segments], sorted(kept)]


def chunks_of(checkpoint_id: UUID) -> Any:
    chunks = select(CheckpointChunk.data).where(CheckpointChunk.checkpoint_id == checkpoint_id)
    return chunks.order_by(CheckpointChunk.number)


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


def test_one_result_may_answer_several_runs(database: Database) -> None:
    trained = train(database, "a")
    submit(database, 3)
    held = claim(database)
    assert reuse(database, held, ["a", "b", "a"]) == {0, 2}
    assert result(database, held.runs[2].run_id) == result(database, trained.runs[0].run_id)
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
