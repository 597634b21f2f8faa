"""GET /metrics, as Prometheus reads it."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.metrics import EpochCounter
from api.settings import ApiSettings
from store import deleting
from store.engine import Database
from tests.api.service import Service, client_of
from tests.store.samples import claim, finish_all, store_epochs, submit
from worker.janitor import purge


def scrape(client: TestClient) -> dict[tuple[str, ...], float]:
    """The samples, by name and the values of their labels in order of the labels' names."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_status(service: Service) -> None:
    before = scrape(service.client)
    experiment = service.submit()
    for path in (experiment["links"]["self"], "/v1/nothing", "/v1/nothing/else"):
        service.client.get(path)
    service.client.head(experiment["links"]["self"])
    after = scrape(service.client)

    def new(name: str, *labels: str) -> float:
        return after[(name, *labels)] - before.get((name, *labels), 0.0)

    assert new("epochd_http_requests_total", "POST", "/v1/experiments", "202") == 1
    assert new("epochd_http_requests_total", "GET", "/v1/experiments/{experiment_id:uuid}", "200") == 2
    assert new("epochd_http_requests_total", "GET", "unknown", "404") == 2
    assert new("epochd_http_request_duration_seconds_count", "POST", "/v1/experiments") == 1
    assert experiment["id"] not in str(after)


def test_queue_runs_and_workers_are_as_the_database_has_them(service: Service) -> None:
    service.submit(seeds=3)
    service.submit(device="gpu")
    service.heartbeat()
    claim = service.claim()
    service.end(claim, {claim.runs[0].run_id: "succeeded"})
    found = scrape(service.client)
    assert {labels[0]: value for (name, *labels), value in found.items() if name == "epochd_runs"} == {
        "queued": 1,
        "running": 2,
        "succeeded": 1,
        "failed": 0,
        "cancelled": 0,
    }
    assert (found["epochd_queue_jobs", "cpu"], found["epochd_queue_jobs", "gpu"]) == (0, 1)
    assert 0 <= found["epochd_queue_oldest_seconds", "gpu"] < 60
    assert found["epochd_worker_busy", "cpu", "slot-1"] == 1
    assert 0 <= found["epochd_worker_heartbeat_age_seconds", "cpu", "slot-1"] < 60
    assert found["epochd_database_up",] == 1
    assert found["epochd_waiting_requests",] == 0
    assert found["process_resident_memory_bytes",] > 0


def test_epochs_are_counted_once_whatever_becomes_of_their_experiment(database: Database) -> None:
    def total() -> float:
        with database.read() as session:
            return float(counter.read(session).samples[0].value)

    submit(database)
    finish_all(database, earlier := claim(database))
    assert earlier
    counter = EpochCounter()
    assert total() == 0
    first = submit(database, 2)
    held = claim(database)
    store_epochs(database, held, 1, 3)
    assert total() == 6
    store_epochs(database, held, 4, 4)
    finish_all(database, held)
    assert total() == total() == 8
    with database.write() as session:
        deleting.delete_experiment(session, first.id)
    purge(database)
    assert total() == 8
    submit(database)
    store_epochs(database, claim(database), 1, 5)
    assert total() == 13


def test_without_a_database_there_is_still_something_to_tell(tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path}/none/epochd.db"
    with client_of(ApiSettings(data=tmp_path, database_url=nowhere)) as client:
        found = scrape(client)
    assert found["epochd_database_up",] == 0


def test_defects_are_counted(settings: ApiSettings) -> None:
    app = create_app(settings)

    @app.get("/defect")
    def defect() -> None:
        raise ZeroDivisionError

    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        client.get("/defect")
        assert scrape(client)["epochd_http_requests_total", "GET", "/defect", "500"] == 1


@pytest.mark.parametrize("name", ["epochd_runs", "epochd_epochs_total", "epochd_http_requests_total"])
def test_every_metric_says_what_it_is(client: TestClient, name: str) -> None:
    text = client.get("/metrics").text
    assert f"# HELP {name} " in text
    assert f"# TYPE {name} " in text
