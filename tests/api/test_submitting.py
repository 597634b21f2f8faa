"""POST /v1/experiments with `Idempotency-Key` and `Prefer: wait=N`."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from api import poller
from api.settings import ApiSettings
from api.submitting import wait_seconds
from store.status import Status
from tests.api.service import Service, problem
from tests.waiting import wait_until
from worker.bell import ring

BODY: dict[str, Any] = {"spec": {"variant": "polynomial", "epochs": 2}, "name": "once"}


def post(service: Service, body: dict[str, Any] | None = None, path: str = "/v1/experiments", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.client.post(path, json=body or BODY, headers=named)


@contextmanager
def worker(service: Service, then: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Somebody who takes what there is, and ends it."""

    def work() -> None:
        claim = wait_until(service.try_claim)
        service.finish(claim)
        then()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_an_idempotency_key_makes_one_experiment_of_two_requests(service: Service) -> None:
    first, again = post(service, Idempotency_Key="k"), post(service, Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["location"] == again.headers["location"]
    assert len(service.get("/v1/experiments")["items"]) == 1


def test_the_experiment_is_answered_as_it_is_by_then(service: Service) -> None:
    post(service, Idempotency_Key="k")
    service.finish(service.claim())
    assert post(service, Idempotency_Key="k").json()["status"] == "succeeded"


def test_an_idempotency_key_with_another_body_is_refused(service: Service) -> None:
    post(service, Idempotency_Key="k")
    found = problem(post(service, {**BODY, "name": "another"}, Idempotency_Key="k"), 422, "idempotency-key-reused")
    assert "new one" in found["detail"]
    assert len(service.get("/v1/experiments")["items"]) == 1


def test_a_request_that_was_refused_does_not_use_up_its_key(service: Service) -> None:
    assert post(service, {"spec": {"variant": "none"}}, Idempotency_Key="k").status_code == 422
    assert post(service, Idempotency_Key="k").status_code == 202


def test_without_a_key_two_requests_are_two_experiments(service: Service) -> None:
    assert post(service).json()["id"] != post(service).json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_impossible_key_is_pointed_out(service: Service, key: str) -> None:
    found = problem(post(service, Idempotency_Key=key), 422, "invalid")
    assert [(error["in"], error["pointer"]) for error in found["errors"]] == [("header", "/Idempotency-Key")]


def test_presets_take_keys_too(service: Service) -> None:
    path = "/v1/presets/polynomial-normal:run"
    first = post(service, {"note": "mine"}, path, Idempotency_Key="k")
    assert first.status_code == 202
    assert post(service, {"note": "mine"}, path, Idempotency_Key="k").json()["id"] == first.json()["id"]
    found = problem(post(service, {"note": "other"}, path, Idempotency_Key="k"), 422, "idempotency-key-reused")
    assert [(error["in"], error["pointer"]) for error in found["errors"]] == [("header", "/Idempotency-Key")]


def test_prefer_wait_answers_201_when_the_experiment_has_ended(service: Service) -> None:
    with worker(service):
        answer = post(service, Prefer="wait=20")
    assert answer.status_code == 201
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["location"] == answer.json()["links"]["self"]
    assert answer.headers["preference-applied"] == "wait=20"
    assert "retry-after" not in answer.headers


def test_who_waits_is_answered_once_the_worker_rings(
    service: Service, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "LOOK_SECONDS", 60.0)
    with worker(service, then=lambda: ring(settings.waiting_folder)):
        assert post(service, Prefer="wait=50").status_code == 201


def test_prefer_wait_answers_202_when_the_time_is_over(service: Service) -> None:
    started = time.perf_counter()
    answer = post(service, Prefer="wait=1")
    assert 1 <= time.perf_counter() - started < 20
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert answer.headers["retry-after"] == "1"


def test_who_waits_holds_nobody_up(service: Service) -> None:
    waiting = [threading.Thread(target=post, args=(service,), kwargs={"Prefer": "wait=20"}) for _ in range(60)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: len(service.get("/v1/experiments", page_size=100)["items"]) == 60)
    started = time.perf_counter()
    service.get("/v1/queue")
    assert time.perf_counter() - started < 10
    for _ in waiting:
        service.finish(service.claim())
    for thread in waiting:
        thread.join(30)
        assert not thread.is_alive()


def test_who_waits_for_what_is_cancelled_learns_of_it(service: Service) -> None:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(post(service, Prefer="wait=20")))
    thread.start()
    (waiting,) = wait_until(lambda: service.get("/v1/experiments")["items"])
    service.client.post(waiting["links"]["cancel"])
    thread.join(30)
    assert (answers[0].status_code, answers[0].json()["status"]) == (201, Status.CANCELLED)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=5", 5),
        ("WAIT = 5", 5),
        ('wait="5"', 5),
        ("wait=100", 30),
        ("wait=0", 0),
        ("", None),
        ("respond-async", None),
        ("wait=soon", None),
        ("await=5", None),
    ],
)
def test_preferences_are_read_as_rfc_7240_has_them(prefer: str, seconds: int | None) -> None:
    assert wait_seconds(prefer) == seconds


def test_the_request_id_of_a_submission_is_kept(service: Service) -> None:
    found = post(service, X_Request_ID="lesson-4.4").json()
    assert found["request_id"] == "lesson-4.4"
    assert service.get(found["links"]["self"])["request_id"] == "lesson-4.4"
