"""Training again what failed or was cancelled."""

from uuid import uuid4

from api.settings import ApiSettings
from store.status import Status
from tests.api.service import Service, problem
from tests.waiting import wait_until

CRASHED = {"kind": "crashed", "detail": "Its worker died."}
DIVERGED = {"kind": "diverged", "detail": "The loss is not finite."}


def test_what_failed_waits_again_and_what_succeeded_stays(service: Service) -> None:
    experiment = service.submit(seeds=2)
    claim = service.claim()
    first, second = (run.run_id for run in claim.runs)
    service.store(claim, [1, 2], train_loss=[2.0, 1.0])
    service.end(claim, {second: "succeeded"})
    service.finish(claim, Status.FAILED, error=CRASHED)
    answer = service.client.post(experiment["links"]["retry"])
    assert answer.status_code == 202
    assert answer.headers["location"] == experiment["links"]["self"]
    found = answer.json()
    assert (found["status"], found["finished_at"]) == ("queued", None)
    assert (found["runs"]["queued"], found["runs"]["succeeded"], found["runs"]["failed"]) == (1, 1, 0)
    assert found["queue"]["position"] == 1
    again = service.get(f"/v1/runs/{first}")
    assert (again["status"], again["error"], again["progress"]["epoch"], again["metrics"]) == ("queued", None, 0, {})
    assert service.get(f"/v1/runs/{first}/curves")["epochs"] == []
    service.finish(service.claim())
    done = service.get(experiment["links"]["self"])
    assert (done["status"], done["runs"]["succeeded"]) == ("succeeded", 2)


def test_a_retry_publishes_a_hint(service: Service, settings: ApiSettings) -> None:
    experiment = service.submit()
    service.client.post(experiment["links"]["cancel"])
    folder = settings.broker_folder
    wait_until(lambda: list(folder.glob("*.msg")))
    for message in folder.glob("*.msg"):
        message.unlink()
    assert service.client.post(experiment["links"]["retry"]).status_code == 202
    wait_until(lambda: list(folder.glob("*.cpu.msg")))


def test_what_would_diverge_again_is_a_conflict_that_says_what_helps(service: Service) -> None:
    experiment = service.submit()
    service.finish(service.claim(), Status.FAILED, error=DIVERGED)
    found = problem(service.client.post(experiment["links"]["retry"]), 409, "nothing-to-retry")
    assert "diverging" in found["detail"]


def test_an_unknown_experiment_cannot_be_retried(service: Service) -> None:
    problem(service.client.post(f"/v1/experiments/{uuid4()}:retry"), 404, "not-found")
