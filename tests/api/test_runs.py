"""Looking at runs and cancelling them."""

import math

from store.status import Status
from tests.api.service import Service


def test_a_waiting_run_shows_its_resolved_spec(service: Service) -> None:
    experiment = service.submit({"variant": "polynomial", "degree": 5, "lambda": 0.5})
    run = service.get(service.run_of(experiment)["links"]["self"])
    assert run["experiment_id"] == experiment["id"]
    assert run["status"] == "queued"
    assert (run["spec"]["degree"], run["spec"]["weight_decay"], run["spec"]["epochs"]) == (5, 0.5, 400)
    assert run["label"] == "polynomial, degree 5, λ = 0.5"
    assert run["progress"] == {"epoch": 0, "epochs": 400, "fraction": 0.0, "eta_seconds": None}
    assert run["metrics"] == {}
    assert (run["claims"], run["device"], run["threads"], run["error"], run["reused"]) == (0, None, None, None, False)


def test_a_training_run_shows_its_metrics_so_far(service: Service) -> None:
    run = service.run_of(service.submit({"variant": "polynomial", "epochs": 4}))
    claim = service.claim()
    service.store(claim, [1, 2, 3], train_loss=[3.0, 1.0, 2.0], test_accuracy=[math.nan] * 3)
    found = service.get(run["links"]["self"])
    assert found["status"] == "running"
    assert found["metrics"] == {"train_loss": {"last": 2.0, "min": 1.0, "min_epoch": 2, "max": 3.0}}
    assert found["progress"]["epoch"] == 3
    assert (found["claims"], found["device"], found["threads"]) == (1, "cpu", 2)


def test_a_failed_run_says_why(service: Service) -> None:
    run = service.run_of(service.submit())
    claim = service.claim()
    service.store(claim, [1, 2], train_loss=[1e300, math.inf])
    summary = {"train_loss": {"last": math.inf, "min": 1e300, "min_epoch": 1, "max": math.inf}}
    service.finish(claim, Status.FAILED, summary, {"kind": "diverged", "detail": "The loss is not finite."})
    found = service.get(run["links"]["self"])
    assert found["status"] == "failed"
    assert found["error"] == {"kind": "diverged", "detail": "The loss is not finite."}
    assert found["metrics"]["train_loss"] == {"last": None, "min": 1e300, "min_epoch": 1, "max": None}


def test_a_run_has_an_etag(service: Service) -> None:
    run = service.run_of(service.submit())
    service.finish(service.claim())
    first = service.client.get(run["links"]["self"])
    again = service.client.get(run["links"]["self"], headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_a_waiting_run_is_cancelled_at_once(service: Service) -> None:
    run = service.run_of(service.submit())
    answer = service.client.post(run["links"]["cancel"])
    assert answer.status_code == 202
    assert answer.json()["status"] == "cancelled"
    assert answer.headers["location"] == run["links"]["self"]


def test_cancelling_a_training_run_asks_its_worker(service: Service) -> None:
    run = service.run_of(service.submit())
    service.claim()
    answer = service.client.post(run["links"]["cancel"]).json()
    assert (answer["status"], answer["cancel_requested"]) == ("running", True)
