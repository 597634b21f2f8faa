"""Progress tells what is stored, and how long what is left will take at the pace of what was trained."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from store import flushes
from store.clock import database_now
from store.jobs import Claim
from store.reuse import reuse_earlier
from store.tables import Experiment, Run
from tests.api.service import LEASE, Service, segment

LINEAR = {"variant": "linear", "epochs": 100}
SECONDS = 1000.0


def store(service: Service, claim: Claim, epochs: int, *, first: int = 1) -> None:
    """Store these epochs of every run of the claim."""
    segments = [segment(run.run_id, {"test_loss": [1.0] * epochs}, first) for run in claim.runs]
    with service.database.write() as session:
        flushes.write(session, claim, segments, LEASE)


def eta(service: Service, experiment: dict[str, Any]) -> float | None:
    """The experiment's, had it been started a while ago."""
    with service.database.write() as session:
        for table, column in ((Experiment, Experiment.id), (Run, Run.experiment_id)):
            started = update(table).where(column == UUID(experiment["id"]), table.started_at.is_not(None))
            session.execute(started.values(started_at=database_now() - SECONDS))
    seconds: float | None = service.get(experiment["links"]["self"])["progress"]["eta_seconds"]
    return seconds


def test_what_is_left_takes_as_long_as_what_was_trained(service: Service) -> None:
    experiment = service.submit(LINEAR, seeds=2)
    claim = service.claim()
    assert eta(service, experiment) is None
    store(service, claim, 20)
    assert eta(service, experiment) == pytest.approx(4 * SECONDS, rel=0.01)
    run = service.get(f"/v1/runs/{claim.runs[0].run_id}")["progress"]
    assert run["eta_seconds"] == pytest.approx(4 * SECONDS, rel=0.01)


def test_reused_epochs_are_done_but_no_measure_of_the_pace(service: Service) -> None:
    service.submit(LINEAR)
    earlier = service.claim()
    store(service, earlier, 100)
    service.finish(earlier, result_key="same")
    experiment = service.submit(LINEAR, seeds=2)
    claim = service.claim()
    with service.database.write() as session:
        assert reuse_earlier(session, claim, {claim.runs[0].run_id: "same"})
    found = service.get(experiment["links"]["self"])["progress"]
    assert (found["epochs_done"], found["fraction"], found["eta_seconds"]) == (100, 0.5, None)
    store(service, claim, 50)
    assert eta(service, experiment) == pytest.approx(SECONDS, rel=0.01)
    reused = service.get(f"/v1/runs/{claim.runs[0].run_id}")["progress"]
    assert reused == {"epoch": 100, "epochs": 100, "fraction": 1.0, "eta_seconds": None}


def test_what_will_never_be_trained_is_not_waited_for(service: Service) -> None:
    experiment = service.submit(LINEAR, seeds=4)
    claim = service.claim()
    store(service, claim, 10)
    failed, cancelled, *_ = (run.run_id for run in claim.runs)
    service.end(claim, {failed: "failed", cancelled: "cancelled"})
    store(service, claim, 80, first=11)
    found = service.get(experiment["links"]["self"])["progress"]
    assert (found["epochs_done"], found["epochs"]) == (2 * 10 + 2 * 90, 400)
    assert eta(service, experiment) == pytest.approx(SECONDS / 200 * 20, rel=0.01)


def test_after_a_retry_the_pace_is_that_of_the_new_attempt(service: Service) -> None:
    experiment = service.submit(LINEAR, seeds=2)
    claim = service.claim()
    store(service, claim, 50)
    service.end(claim, {claim.runs[0].run_id: "succeeded", claim.runs[1].run_id: "failed"})
    eta(service, experiment)  # which also says that it began long ago
    assert service.client.post(experiment["links"]["self"] + ":retry").status_code == 202
    again = service.claim()
    found = service.get(experiment["links"]["self"])
    assert found["progress"]["eta_seconds"] is None
    assert found["started_at"] > experiment["created_at"]
    store(service, again, 20)
    assert eta(service, experiment) == pytest.approx(4 * SECONDS, rel=0.01)


def test_a_stack_that_waits_for_the_one_that_trains_is_counted_too(service: Service) -> None:
    experiment = service.submit(LINEAR, grid={"n_train": [20, 40]}, seeds=3)
    first = service.claim()
    store(service, first, 50)
    found = service.get(experiment["links"]["self"])
    assert (found["status"], found["queue"]["position"]) == ("running", 1)
    assert eta(service, experiment) == pytest.approx(3 * SECONDS, rel=0.01)
    store(service, first, 50, first=51)
    service.end(first, {run.run_id: "succeeded" for run in first.runs})
    assert eta(service, experiment) is None  # for a moment it is queued
    service.claim()
    found = service.get(experiment["links"]["self"])
    assert (found["status"], found["queue"]) == ("running", None)
    assert eta(service, experiment) == pytest.approx(SECONDS, rel=0.01)
