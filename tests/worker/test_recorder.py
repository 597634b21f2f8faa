"""Storing what a training yields, in as few transactions as will do."""

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text

from mlcore.training import EpochReport
from store import checkpoints, curves, jobs, runs
from store.engine import Database, make_engine
from store.errors import LeaseLost
from store.status import Status
from tests.waiting import wait_until
from tests.worker.conftest import Submit, claim, run_of
from worker.recorder import Ended, Kept, Recorder
from worker.settings import WorkerSettings

SPEC = {"variant": "polynomial", "epochs": 100}


def report(epoch: int, *losses: float) -> EpochReport:
    return EpochReport(epoch, evaluated=True, metrics={"train_loss": np.array(losses)})


def recorder(database: Database, settings: WorkerSettings, **changes: Any) -> Recorder:
    return Recorder(database, claim(database), settings.model_copy(update=changes))


def stored(database: Database, run_id: UUID) -> list[int]:
    with database.read() as session:
        epochs: list[int] = curves.read(session, run_id).epochs.tolist()
    return epochs


def lease(database: Database, recorder: Recorder) -> float:
    with database.read() as session:
        until = jobs.get(session, recorder.claim.job_id).lease_until
    assert until is not None
    return until


def test_the_first_epoch_is_stored_at_once_and_later_ones_together(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    (run,) = submit(SPEC)
    writes = recorder(database, settings, flush_seconds=3600.0)
    writes.add(report(1, 0.5))
    assert stored(database, run) == [1]
    for epoch in (2, 3, 4):
        writes.add(report(epoch, 0.5))
    assert stored(database, run) == [1]
    writes.store()
    assert stored(database, run) == [1, 2, 3, 4]


def test_reports_are_stored_when_their_time_has_come(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    (run,) = submit(SPEC)
    writes = recorder(database, settings, flush_seconds=0.1)
    writes.add(report(1, 0.5))
    writes.add(report(2, 0.5))
    wait_until(lambda: writes.look() == [] and stored(database, run) == [1, 2])


def test_an_epoch_that_was_not_evaluated_has_nothing_to_store(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    (run,) = submit(SPEC)
    writes = recorder(database, settings)
    writes.add(EpochReport(1, evaluated=False))
    writes.store()
    assert stored(database, run) == []


def test_each_run_of_a_stack_gets_its_own_values(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    ids = submit(SPEC, SPEC | {"seed": 1})
    writes = recorder(database, settings)
    writes.add(report(1, 0.25, np.nan))
    with database.read() as session:
        first, second = (curves.read(session, run_id).series["train_loss"] for run_id in ids)
    assert first.tolist() == [0.25]
    assert np.isnan(second).tolist() == [True]


def test_a_tick_renews_the_lease_when_it_is_time(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    submit(SPEC)
    writes = recorder(database, settings, renew_seconds=0.05)
    writes.look()
    before = lease(database, writes)
    wait_until(lambda: writes.look() == [] and lease(database, writes) > before)


def test_a_short_lease_is_renewed_before_it_ends(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    submit(SPEC)
    writes = recorder(database, settings, lease_seconds=1.2, renew_seconds=3600.0)
    writes.store()
    before = lease(database, writes)
    wait_until(lambda: writes.look() == [] and lease(database, writes) > before)


def test_a_cancel_is_seen_when_a_state_is_stored(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    first, _ = submit(SPEC, {**SPEC, "seed": 1})
    writes = recorder(database, settings)
    with database.write() as session:
        runs.cancel(session, first)
    assert [run.run_id for run in writes.store_state(1, lambda: b"state")] == [first]


@pytest.mark.parametrize("renew_seconds", [0.0, 3600.0], ids=["while writing", "while reading"])
def test_a_cancel_is_seen_at_a_tick(
    database: Database, settings: WorkerSettings, submit: Submit, renew_seconds: float
) -> None:
    first, _ = submit(SPEC, SPEC | {"seed": 1})
    writes = recorder(database, settings, renew_seconds=renew_seconds, contact_seconds=0.01)
    assert writes.look() == []
    with database.write() as session:
        runs.cancel(session, first)
    assert wait_until(writes.look)[0].run_id == first


def test_epochs_stored_under_an_earlier_claim_are_not_stored_again(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    (run,) = submit(SPEC)
    earlier = recorder(database, settings)
    for epoch in (1, 2, 3):
        earlier.add(report(epoch, 0.5))
    earlier.give_back("the test says so")
    later = recorder(database, settings)
    for epoch in (2, 3, 4, 5):
        later.add(report(epoch, 0.5))
    later.store()
    assert stored(database, run) == [1, 2, 3, 4, 5]


def test_what_many_runs_have_stored_is_taken_up_while_the_lease_is_renewed(
    database: Database, settings: WorkerSettings, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = submit(*({**SPEC, "seed": seed} for seed in range(30)))
    earlier = recorder(database, settings)
    for epoch in (1, 2, 3):
        earlier.add(report(epoch, *(run - epoch for run in range(30))))
    earlier.give_back("the test says so")
    monkeypatch.setattr(curves, "CURVES_AT_ONCE", 10)
    later = recorder(database, settings, renew_seconds=1e-6)
    before = lease(database, later)
    later.take_up()
    assert lease(database, later) > before
    later.store(ended=[Ended(run, Status.SUCCEEDED) for run in later.live.values()])
    summaries = [run_of(database, run_id).summary for run_id in ids]
    assert summaries == [
        {"train_loss": {"last": run - 3.0, "min": run - 3.0, "min_epoch": 3, "max": run - 1.0}} for run in range(30)
    ]


def test_a_lost_lease_stops_every_write(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    (run,) = submit(SPEC)
    writes = recorder(database, settings)
    writes.add(report(1, 0.5))
    with database.write() as session:
        jobs.release_worker(session, "slot", "the test says so")
    with pytest.raises(LeaseLost):
        writes.store()
    with pytest.raises(LeaseLost):
        writes.store_state(1, lambda: b"state")
    with pytest.raises(LeaseLost):
        writes.give_back("again")
    assert stored(database, run) == [1]


def test_a_state_never_leads_the_curve(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    (run,) = submit(SPEC)
    writes = recorder(database, settings, flush_seconds=3600.0)
    for epoch in (1, 2, 3):
        writes.add(report(epoch, 0.5))
    writes.store_state(3, lambda: b"state")
    with database.write() as session:
        state = checkpoints.latest_state(session, writes.claim.job_id)
    assert state is not None
    assert (state.epoch, state.data) == (3, b"state")
    assert stored(database, run) == [1, 2, 3]


def test_states_are_spaced_by_what_they_cost(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    submit(SPEC)
    writes = recorder(database, settings, checkpoint_seconds=0.0, checkpoint_share=0.1)
    assert writes.state_is_due()

    def slow() -> bytes:
        time.sleep(0.02)
        return b"state"

    writes.store_state(1, slow)
    start = time.monotonic()
    assert not writes.state_is_due()
    wait_until(writes.state_is_due)
    assert time.monotonic() - start > 0.15


def test_the_end_of_a_run_is_one_transaction_with_its_weights(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    first, second = submit(SPEC, SPEC | {"seed": 1})
    writes = recorder(database, settings)
    writes.add(report(1, 0.5, 0.25))
    run = writes.live[0]
    writes.store([Kept(run, "last", 1, b"weights")], [Ended(run, Status.SUCCEEDED)])
    assert list(writes.live) == [1]
    assert run_of(database, first).status == "succeeded"
    assert run_of(database, first).summary == {"train_loss": {"last": 0.5, "min": 0.5, "min_epoch": 1, "max": 0.5}}
    assert run_of(database, second).status == "running"
    with database.read() as session:
        assert checkpoints.get(session, first, "last").data == b"weights"


def test_reports_outlast_a_database_that_is_away(
    request: pytest.FixtureRequest, database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    leave, come_back = _absence(request, database)
    (run,) = submit(SPEC)
    writes = recorder(database, settings, flush_seconds=0.0)
    writes.add(report(1, 0.5))
    leave()
    writes.add(report(2, 0.5))
    writes.add(report(3, 0.5))
    back = threading.Timer(0.3, come_back)
    back.start()
    writes.store()
    back.join()
    assert stored(database, run) == [1, 2, 3]


def _absence(request: pytest.FixtureRequest, database: Database) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what makes the database fail as it does when it is away, and what ends that."""
    if database.engine.dialect.name == "sqlite":
        rename = "ALTER TABLE {} RENAME TO {}"
        ways = [rename.format("curve_segments", "away")], [rename.format("away", "curve_segments")]
        url = database.engine.url.render_as_string()
    else:
        name, url = database.engine.url.database, request.getfixturevalue("postgresql")
        allow, cut = (
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS ",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        )
        ways = [f"{allow} false", f"{cut} WHERE datname = '{name}'"], [f"{allow} true"]
    leave, come_back = ways
    return lambda: _execute(url, leave), lambda: _execute(url, come_back)


def _execute(url: str, statements: list[str]) -> None:
    engine = make_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
        connection.commit()  # SQLite had begun a transaction
    engine.dispose()
