"""Submitting, looking at, listing and cancelling experiments."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi.testclient import TestClient

from api import examples
from api.settings import ApiSettings
from mlcore.spec import parse_run_spec
from store import experiments
from store.status import Status
from tests.api.live import serving
from tests.api.service import Service, client_of
from tests.waiting import wait_until

MANY = 60  # more than the threads that a server has for requests
EVERY_EXAMPLE = [example["value"] for some in examples.EXPERIMENTS.values() for example in some]


def test_a_submitted_experiment_waits_in_the_queue(service: Service) -> None:
    answer = service.client.post("/v1/experiments", json={"spec": {"variant": "polynomial", "epochs": 7}})
    assert answer.status_code == 202
    found = answer.json()
    assert answer.headers["location"] == f"/v1/experiments/{found['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert UUID(found["id"]).version == 7
    assert found["status"] == "queued"
    assert found["runs"] == {"total": 1, "queued": 1, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
    assert found["progress"] == {"epochs_done": 0, "epochs": 7, "fraction": 0.0, "eta_seconds": None}
    assert found["queue"]["position"] == 1
    assert "worker" in found["queue"]["reason"]
    assert found["created_at"].endswith("Z")
    assert service.get(answer.headers["location"]) == found


def test_the_request_comes_back_as_posted_and_can_be_posted_again(service: Service) -> None:
    request = {"spec": {"variant": "linear", "lambda": 3}, "name": "λ = 3", "tags": {"chapter": "4.5"}, "priority": 2}
    first = service.client.post("/v1/experiments", json=request).json()
    assert first["request"] == request
    again = service.client.post("/v1/experiments", json=first["request"])
    assert again.status_code == 202
    assert service.run_of(again.json())["spec"]["weight_decay"] == 3


@pytest.mark.parametrize("request_body", EVERY_EXAMPLE)
def test_every_example_can_be_submitted(service: Service, request_body: dict[str, Any]) -> None:
    assert service.client.post("/v1/experiments", json=request_body).status_code == 202


def test_validate_only_submits_nothing(service: Service) -> None:
    body = {"spec": {"variant": "polynomial", "degree": 2}}
    answer = service.client.post("/v1/experiments", params={"validate_only": True}, json=body)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["valid"], said["runs"], said["jobs"], said["epochs"]) == (True, 1, 1, 400)
    assert said["specs"][0]["degree"] == 2
    assert service.get("/v1/experiments")["items"] == []


@pytest.mark.parametrize(("device", "queue"), [("auto", "cpu"), ("cpu", "cpu"), ("gpu", "gpu")])
def test_the_device_decides_the_queue(service: Service, device: str, queue: str) -> None:
    assert service.submit(device=device)["queue"]["name"] == queue


def test_progress_follows_the_training(service: Service) -> None:
    experiment = service.submit({"variant": "polynomial", "epochs": 4})
    service.heartbeat()
    claim = service.claim()
    service.store(claim, [1], train_loss=[1.0])
    running = service.get(experiment["links"]["self"])
    assert running["status"] == "running"
    assert running["queue"] is None
    assert running["progress"]["fraction"] == 0.25
    assert running["progress"]["eta_seconds"] >= 0
    service.store(claim, [2, 3, 4], train_loss=[0.5, 0.4, 0.3])
    service.finish(claim)
    done = service.get(experiment["links"]["self"])
    assert done["status"] == "succeeded"
    assert done["runs"]["succeeded"] == 1
    assert done["progress"] == {"epochs_done": 4, "epochs": 4, "fraction": 1.0, "eta_seconds": None}
    assert done["finished_at"] >= done["started_at"] >= done["created_at"]


def test_a_finished_experiment_has_an_etag(service: Service) -> None:
    experiment = service.submit()
    service.finish(service.claim())
    first = service.client.get(experiment["links"]["self"])
    again = service.client.get(experiment["links"]["self"], headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    stale = service.client.get(experiment["links"]["self"], headers={"If-None-Match": '"other", W/"another"'})
    assert stale.status_code == 200


def test_a_waiting_experiment_is_cancelled_at_once(service: Service) -> None:
    experiment = service.submit()
    answer = service.client.post(experiment["links"]["cancel"])
    assert answer.status_code == 202
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["runs"]["cancelled"] == 1


def test_cancelling_a_running_experiment_asks_its_worker(service: Service) -> None:
    experiment = service.submit()
    service.claim()
    answer = service.client.post(experiment["links"]["cancel"]).json()
    assert (answer["status"], answer["cancel_requested"]) == ("running", True)


def test_cancelling_a_finished_experiment_is_a_conflict(service: Service) -> None:
    experiment = service.submit()
    claim = service.claim()
    service.finish(claim)
    for path in (experiment["links"]["cancel"], f"/v1/runs/{claim.runs[0].run_id}:cancel"):
        answer = service.client.post(path)
        assert answer.status_code == 409
        assert answer.json()["type"] == "/problems/already-finished"


def test_lists_come_in_pages_that_link_to_the_next(service: Service) -> None:
    made = [service.submit(name=f"number {number}")["id"] for number in range(5)]
    first = service.client.get("/v1/experiments", params={"page_size": 2})
    second = service.client.get(
        "/v1/experiments", params={"page_size": 2, "page_token": first.json()["next_page_token"]}
    )
    third = service.client.get(second.links["next"]["url"])
    pages = [first.json(), second.json(), third.json()]
    assert [item["id"] for page in pages for item in page["items"]] == made[::-1]
    assert third.json()["next_page_token"] is None
    assert "link" not in third.headers
    oldest = service.get("/v1/experiments", order_by="created_at", page_size=1)["items"]
    assert [item["id"] for item in oldest] == made[:1]


def test_lists_are_narrowed(service: Service) -> None:
    plain = service.submit({"variant": "linear"}, name="Weight decay", tags={"chapter": "4.5"})["id"]
    other = service.submit({"variant": "polynomial"}, name="Overfitting", tags={"chapter": "4.4", "room": "1:2"})["id"]
    service.submit(ephemeral=True)
    service.client.post(f"/v1/experiments/{other}:cancel")

    def ids(path: str = "/v1/experiments", **params: Any) -> list[str]:
        return [item["id"] for item in service.get(path, **params)["items"]]

    assert ids() == [other, plain]
    assert ids(status="cancelled") == [other]
    assert ids(variant="linear") == [plain]
    assert ids(tag="room:1:2") == [other]
    assert ids(q="DECAY") == [plain]
    assert ids(q="nothing") == []
    accented = service.submit(name="Ünïversal Straße")["id"]
    assert ids(q="ÜNÏ") == ids(q="straße") == [accented]
    runs_found = service.get("/v1/runs", tag="chapter:4.5")["items"]
    assert [run["experiment_id"] for run in runs_found] == [plain]


def test_runs_have_pages_too(service: Service) -> None:
    made = [service.run_of(service.submit())["id"] for _ in range(3)]
    first = service.client.get("/v1/runs", params={"page_size": 2})
    rest = service.client.get(first.links["next"]["url"]).json()
    assert [run["id"] for run in first.json()["items"] + rest["items"]] == made[::-1]


@pytest.mark.parametrize(
    "address",
    [
        "GET /v1/experiments/{}",
        "POST /v1/experiments/{}:cancel",
        "GET /v1/experiments/{}/runs",
        "GET /v1/experiments/{}/curves",
        "GET /v1/experiments/{}/summary",
        "GET /v1/runs/{}",
        "POST /v1/runs/{}:cancel",
        "GET /v1/runs/{}/curves",
        "GET /v1/runs/{}/weights",
        "GET /v1/runs/{}/checkpoints",
        "GET /v1/runs/{}/checkpoints/last",
    ],
)
def test_ids_that_lead_nowhere_are_all_told_the_same(client: TestClient, address: str) -> None:
    method, template = address.split()
    answers = [client.request(method, template.format(name)) for name in (str(uuid4()), "none", "1")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({(answer.json()["type"], answer.json()["detail"]) for answer in answers}) == 1
    kind = "experiment" if "experiments" in template else "run"
    assert f"no {kind} with this id" in answers[0].json()["detail"]


def test_what_somebody_else_owns_is_not_found(service: Service) -> None:
    with service.database.write() as session:
        job = experiments.NewJob("cpu", [parse_run_spec({"variant": "linear"}).model_dump(mode="json")])
        theirs = experiments.create(session, request={}, owner="somebody", jobs=[job], code_version="1")
    assert service.client.get(f"/v1/experiments/{theirs.id}").status_code == 404
    assert service.client.post(f"/v1/experiments/{theirs.id}:cancel").status_code == 404
    assert service.get("/v1/experiments")["items"] == []


def test_a_broker_that_never_answers_does_not_hold_up_a_submission(settings: ApiSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with client_of(settings.model_copy(update={"broker_url": url})) as client:
            waited = [_seconds_to_submit(client) for _ in range(3)]
    assert min(waited) < 0.5, "the quickest, since this machine may be busy; Redis would be waited for each time"


def _seconds_to_submit(client: TestClient) -> float:
    started = time.perf_counter()
    assert client.post("/v1/experiments", json={"spec": {"variant": "linear"}}).status_code == 202
    return time.perf_counter() - started


def test_a_submission_publishes_a_hint(service: Service, settings: ApiSettings) -> None:
    before = set(settings.broker_folder.iterdir())
    service.submit()
    wait_until(lambda: set(settings.broker_folder.iterdir()) - before, what="a hint")


@pytest.mark.parametrize(
    ("method", "what", "body", "status"),
    [
        ("POST", "", {"spec": {"variant": "linear"}}, 202),
        ("PATCH", "/{experiment}", {"note": "mine"}, 200),
        ("DELETE", "/{other}", None, 404),
        ("POST", "/{experiment}:retry", None, 409),
        ("POST", "/{other}:cancel", None, 404),
        ("POST", "/../runs/{other}:cancel", None, 404),
    ],
)
def test_however_many_wait_to_write_who_reads_is_answered(
    service: Service, settings: ApiSettings, method: str, what: str, body: dict[str, Any] | None, status: int
) -> None:
    experiment = service.submit()
    path = experiment["links"]["self"]
    write = f"/v1/experiments{what.format(experiment=experiment['id'], other=uuid4())}"

    def submit(address: str) -> int:
        return httpx2.request(method, f"{address}{write}", json=body, timeout=30).status_code

    with serving(settings) as live, ThreadPoolExecutor(MANY) as pool:
        with service.database.write() as session:
            session.connection()
            submitted = [pool.submit(submit, live.address) for _ in range(MANY)]
            wait_until(lambda: all(one.running() for one in submitted), what="all submit")
            for _ in range(MANY):
                assert httpx2.get(live.address + path, timeout=20).status_code == 200
            assert not any(one.done() for one in submitted)
        assert [one.result() for one in submitted] == [status] * MANY


def test_readers_do_not_wait_for_a_writer(service: Service) -> None:
    experiment = service.submit()
    with service.database.write() as session:
        session.connection()
        assert service.get(experiment["links"]["self"])["status"] == Status.QUEUED
