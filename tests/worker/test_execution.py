"""Training claimed jobs."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from store import checkpoints, curves, events, jobs, runs
from store.engine import Database
from store.history import CRASHED
from store.tables import Checkpoint, CheckpointChunk
from tests.waiting import wait_until
from tests.worker.conftest import Submit, claim, run_of, statuses
from worker.bell import Bell
from worker.execution import Execution, Trainer
from worker.settings import WorkerSettings

Json = dict[str, Any]

POLYNOMIAL: Json = {"variant": "polynomial", "epochs": 300, "reuse": False}
STEADY: Json = POLYNOMIAL | {"n_train": 5000, "epochs": 2000}
LONG: Json = POLYNOMIAL | {"n_train": 5000, "epochs": 100_000}


def train(database: Database, settings: WorkerSettings, leaving: Event | None = None) -> None:
    Trainer(database, settings, "slot", 1, leaving or Event()).work()


@contextmanager
def training(database: Database, settings: WorkerSettings, leaving: Event | None = None) -> Iterator[None]:
    """Train in another thread; at the end of the block wait for it."""
    thread = threading.Thread(target=train, args=(database, settings, leaving))
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def sha256(database: Database, run_id: UUID) -> dict[str, str]:
    with database.read() as session:
        return {f"{kept.kind} {kept.epoch}": kept.sha256 for kept in checkpoints.of_run(session, run_id)}


def epochs(database: Database, run_id: UUID) -> list[int]:
    with database.read() as session:
        stored: list[int] = curves.read(session, run_id).epochs.tolist()
    return stored


def wait_for_epoch(database: Database, run_id: UUID, epoch: int) -> None:
    wait_until(lambda: run_of(database, run_id).epochs_done >= epoch, 30)


def test_everything_that_is_queued_is_trained(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    ids = [*submit(POLYNOMIAL), *submit({"variant": "linear"})]
    train(database, settings)
    assert statuses(database, ids) == ["succeeded"] * 2
    assert epochs(database, ids[0]) == list(range(1, 301))
    summary = run_of(database, ids[0]).summary
    assert summary is not None
    assert summary["test_loss"]["min"] <= summary["test_loss"]["last"] <= summary["test_loss"]["max"]
    assert set(sha256(database, ids[0])) == {"last 300", f"best {summary['test_loss']['min_epoch']}"}


def test_the_same_spec_gives_the_same_bits(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    (first,), (second,) = submit(POLYNOMIAL), submit(POLYNOMIAL)
    train(database, settings)
    assert sha256(database, first) == sha256(database, second)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("none", set()),
        ("last", {"last 10"}),
        ({"every": 4}, {"epoch 4", "epoch 8", "last 10"}),
    ],
)
def test_the_checkpoints_that_were_asked_for_are_kept(
    database: Database, settings: WorkerSettings, submit: Submit, keep: object, kept: set[str]
) -> None:
    (run,) = submit({"variant": "linear", "epochs": 10, "keep_checkpoints": keep})
    train(database, settings)
    assert set(sha256(database, run)) == kept


def test_a_slot_that_is_told_to_leave_gives_its_job_back_and_another_goes_on_to_the_same_bits(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    (whole,), (interrupted,) = submit(POLYNOMIAL | {"epochs": 1000}), submit(POLYNOMIAL | {"epochs": 1000})
    leaving = Event()
    with training(database, settings, leaving):
        wait_for_epoch(database, interrupted, 1)
        leaving.set()
    assert statuses(database, [whole, interrupted]) == ["succeeded", "queued"]
    with database.write() as session:
        job = jobs.get(session, run_of(database, interrupted).job_id)
        state = checkpoints.latest_state(session, job.id)
    assert state is not None
    assert state.epoch == run_of(database, interrupted).epochs_done < 1000
    assert job.crashes == 0
    train(database, settings)
    assert sha256(database, interrupted) == sha256(database, whole)
    assert epochs(database, interrupted) == list(range(1, 1001))


def test_what_earlier_results_and_cancels_have_ended_is_not_trained(
    database: Database, settings: WorkerSettings, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    spec = POLYNOMIAL | {"reuse": True}
    submit(spec)
    train(database, settings)
    caplog.clear()
    cancelled, reused = submit(spec | {"seed": 1}, spec)
    with database.write() as session:
        runs.cancel(session, cancelled)
    with caplog.at_level("INFO"):
        train(database, settings)
    assert statuses(database, [cancelled, reused]) == ["cancelled", "succeeded"]
    assert caplog.messages == []


def test_a_slot_that_leaves_claims_nothing_more(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    leaving = Event()
    leaving.set()
    ids = submit(POLYNOMIAL)
    train(database, settings, leaving)
    assert statuses(database, ids) == ["queued"]


def test_those_who_wait_for_the_database_are_woken(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    settings.waiting_folder.mkdir()
    submit(POLYNOMIAL)
    with closing(Bell(settings.waiting_folder)) as bell:
        train(database, settings)
        assert bell.wait(0)


def test_a_running_run_is_cancelled_and_the_others_of_its_stack_go_on(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    cancelled, other = submit(STEADY, STEADY | {"seed": 1})
    with training(database, settings):
        wait_for_epoch(database, cancelled, 1)
        with database.write() as session:
            runs.cancel(session, cancelled)
        wait_until(lambda: run_of(database, cancelled).status == "cancelled")  # in 2 s: test_cancelling.py
    assert statuses(database, [cancelled, other]) == ["cancelled", "succeeded"]
    assert len(epochs(database, cancelled)) < 2000
    assert epochs(database, other) == list(range(1, 2001))


def test_a_run_that_diverges_fails_with_its_curve_and_the_others_go_on(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    diverging, other = submit(POLYNOMIAL | {"learning_rate": 900.0}, POLYNOMIAL)
    train(database, settings)
    assert statuses(database, [diverging, other]) == ["failed", "succeeded"]
    run = run_of(database, diverging)
    assert run.error is not None
    assert run.error["kind"] == "diverged"
    assert "learning_rate" in run.error["detail"]
    assert epochs(database, diverging) == list(range(1, run.epochs_done + 1))
    assert 1 <= run.epochs_done < 300


def test_an_unexpected_error_fails_the_run_in_a_sentence(
    database: Database, settings: WorkerSettings, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    broken, whole = submit(POLYNOMIAL), submit(POLYNOMIAL)
    with database.write() as session:
        run = runs.get(session, broken[0])
        run.spec = {"variant": "unheard of"}
        session.merge(run)
    train(database, settings)
    assert statuses(database, [*broken, *whole]) == ["failed", "succeeded"]
    error = run_of(database, broken[0]).error
    assert error is not None
    assert error["kind"] == "internal"
    assert "Traceback" not in error["detail"]
    assert "Traceback" in caplog.text


def test_a_job_that_was_taken_away_is_left_alone(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    (run,) = submit(LONG)
    execution = Execution(database, claim(database), settings, Event())
    thread = threading.Thread(target=execution.run)
    thread.start()
    wait_for_epoch(database, run, 1)
    with database.write() as session:
        jobs.release_worker(session, "slot", "the test says so")
    done = run_of(database, run).epochs_done
    thread.join(30)
    assert not thread.is_alive()
    assert statuses(database, [run]) == ["queued"]
    assert run_of(database, run).epochs_done == done


def test_a_damaged_state_is_passed_over_for_the_one_before(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    (whole,), (run,) = submit(POLYNOMIAL | {"epochs": 1000}), submit(POLYNOMIAL | {"epochs": 1000})
    often = settings.model_copy(update={"checkpoint_seconds": 0.0, "checkpoint_share": 0.9})
    leaving = Event()
    with training(database, often, leaving):
        wait_for_epoch(database, run, 50)
        leaving.set()
    with database.write() as session:
        state = checkpoints.latest_state(session, run_of(database, run).job_id)
        assert state is not None
        _damage(session, state.sha256)
    train(database, settings)
    assert sha256(database, run) == sha256(database, whole)
    with database.read() as session:
        counted = events.counts(session, run_of(database, run).experiment_id)
    assert counted["checkpoint_damaged"] == 1
    assert CRASHED not in counted


def _damage(session: Session, sha256_of_state: str) -> None:
    query = select(CheckpointChunk).join(Checkpoint).where(Checkpoint.sha256 == sha256_of_state)
    chunk = session.scalars(query).one()
    chunk.data = bytes([chunk.data[0] ^ 1]) + chunk.data[1:]
