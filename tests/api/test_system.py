"""What the service says of itself, its queue and its variants."""

import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from openapi_schema_validator import OAS31Validator

from api.settings import ApiSettings
from mlcore.spec import VARIANTS, parse_run_spec
from tests.api.service import Service, client_of, problem


def test_the_process_answers(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_it_is_ready_when_a_worker_lives(service: Service) -> None:
    found = problem(service.client.get("/readyz"), 503, "not-ready")
    assert found["detail"] == "Missing: a live worker."
    service.heartbeat()
    assert service.get("/readyz") == {"status": "ready", "workers": 1}


def test_without_tables_it_is_not_ready_and_takes_nothing(tmp_path: Path) -> None:
    with client_of(ApiSettings(data=tmp_path)) as client:
        assert client.get("/healthz").status_code == 200
        assert "schema" in problem(client.get("/readyz"), 503, "not-ready")["detail"]
        answer = client.post("/v1/experiments", json={"spec": {"variant": "linear"}})
        problem(answer, 503, "not-ready")


def test_without_a_database_it_is_not_ready_and_takes_nothing(tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path}/none/epochd.db"
    with client_of(ApiSettings(data=tmp_path, database_url=nowhere)) as client:
        assert "database" in problem(client.get("/readyz"), 503, "not-ready")["detail"]
        answer = client.get("/v1/experiments")
        assert str(tmp_path) not in answer.text
        problem(answer, 503, "database-unavailable")
        assert int(answer.headers["retry-after"]) >= 1


def test_it_says_its_version(client: TestClient) -> None:
    found = client.get("/version").json()
    assert found["version"] == client.get("/openapi.json").json()["info"]["version"]
    assert found["python"].startswith("3.")


def test_head_answers_what_get_would_without_the_body(client: TestClient) -> None:
    for path in ("/healthz", "/v1/experiments", "/v1/nothing", "/docs"):
        full, bare = client.get(path), client.head(path)
        assert (bare.status_code, bare.content) == (full.status_code, b"")
        assert bare.headers["content-type"] == full.headers["content-type"]


def test_the_root_leads_to_the_documentation(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.url.path == "/docs"
    assert answer.status_code == 200


def test_the_queue_says_what_waits_and_why(service: Service) -> None:
    first = service.submit(name="first")["id"]
    urgent = service.submit(name="urgent", priority=5)["id"]
    stuck = service.submit(name="stuck", device="gpu")["id"]
    service.heartbeat("cpu")
    found = service.get("/v1/queue")
    assert found["queues"] == [
        {"name": "cpu", "queued_jobs": 2, "workers": 1},
        {"name": "gpu", "queued_jobs": 1, "workers": 0},
    ]
    waiting = [(item["experiment_id"], item["queue"], item["position"]) for item in found["waiting"]]
    assert waiting == [(urgent, "cpu", 1), (first, "cpu", 2), (stuck, "gpu", 1)]
    assert found["waiting"][0]["reason"] is None
    assert "gpu" in found["waiting"][2]["reason"]


def test_what_waits_is_listed_while_other_jobs_of_it_run(service: Service) -> None:
    half = service.submit({"variant": "polynomial"}, grid={"degree": [1, 2], "batch_size": [4, 8]}, name="half")
    other = service.submit(name="other")
    claim = service.claim()
    assert str(claim.experiment_id) == half["id"]
    assert service.get(half["links"]["self"])["status"] == "running"
    waiting = {item["experiment_id"]: item["position"] for item in service.get("/v1/queue")["waiting"]}
    assert waiting.keys() == {half["id"], other["id"]}
    for one in (half, other):
        assert waiting[one["id"]] == service.get(one["links"]["self"])["queue"]["position"]


def test_live_workers_are_listed(service: Service) -> None:
    assert service.get("/v1/workers") == {"items": []}
    service.heartbeat("gpu", "cpu")
    (worker,) = service.get("/v1/workers")["items"]
    assert (worker["name"], worker["queues"], worker["threads"]) == ("slot-1", ["gpu", "cpu"], 1)
    assert worker["heartbeat_at"].endswith("Z")
    assert (worker["is_busy"], worker["work"]) == (False, None)


def test_variants_show_their_fields_defaults_and_examples(client: TestClient) -> None:
    listed = client.get("/v1/variants").json()["items"]
    assert [item["variant"] for item in listed] == list(VARIANTS)
    for item in listed:
        found = client.get(item["href"]).json()
        assert parse_run_spec(found["defaults"]) == parse_run_spec({"variant": item["variant"]})
        properties = found["json_schema"]["properties"]
        assert set(properties) == {*found["defaults"], "lambda"}
        schema = OAS31Validator(found["json_schema"])
        assert schema.is_valid({"lambda": 1})
        assert not schema.is_valid({"lambda": 1, "weight_decay": 1})
        assert all("description" in properties[name] for name in properties if name != "variant")
        assert found["examples"]
    problem(client.get("/v1/variants/cnn"), 404, "not-found")


@pytest.mark.parametrize("module", ["torch", "torchvision", "matplotlib", "safetensors"])
def test_the_api_starts_without_what_only_some_requests_need(module: str) -> None:
    code = f"import sys; from api.app import create_app; create_app(); sys.exit({module!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
