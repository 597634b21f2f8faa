"""Where an experiment trains: on cards, on CPUs, and what either is asked for."""

from typing import Any

import pytest

from store import jobs
from tests.api.service import Service, problem

CARD: dict[str, Any] = {"device": "cuda NVIDIA H200", "card_memory": 150 * 10**9}


def test_workers_tell_their_card(service: Service) -> None:
    service.heartbeat("gpu", "cpu", name="slot-1", **CARD)
    service.heartbeat("cpu", name="slot-2")
    first, second = service.get("/v1/workers")["items"]
    assert first["card"] == {"name": "NVIDIA H200", "memory_bytes": 150 * 10**9}
    assert (first["device"], first["queues"]) == ("cuda NVIDIA H200", ["gpu", "cpu"])
    assert second["card"] is None


def test_an_experiment_for_a_card_waits_for_one_and_says_so(service: Service) -> None:
    service.heartbeat("cpu")
    experiment = service.submit(device="gpu")
    assert "card" in experiment["queue"]["reason"]
    service.heartbeat("gpu", "cpu", name="slot-2", **CARD)
    assert service.get(experiment["links"]["self"])["queue"]["reason"] is None


def planned(service: Service, **request: Any) -> dict[str, Any]:
    answer = service.client.post("/v1/experiments", params={"validate_only": True}, json=request)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_stacks_have_the_size_of_the_smallest_card(service: Service) -> None:
    request = {"spec": {"variant": "mlp", "hidden": [1024], "n_train": 1000}, "seeds": 2000}
    on_cpu = planned(service, **request)["jobs"]
    unknown = planned(service, **request, device="gpu")["jobs"]
    service.heartbeat("gpu", "cpu", **CARD)
    large = planned(service, **request, device="gpu")["jobs"]
    service.heartbeat("gpu", "cpu", name="slot-2", device="cuda NVIDIA A10", card_memory=24 * 10**9)
    assert large < planned(service, **request, device="gpu")["jobs"] < unknown < on_cpu


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize(
    ("more", "pointer"),
    [({"precision": "tf32"}, "/spec/precision"), ({"varied": ["float32", "tf32"]}, "/grid/precision/1")],
)
def test_tf32_needs_a_card(service: Service, device: str, more: dict[str, Any], pointer: str) -> None:
    grid = {"precision": more["varied"]} if "varied" in more else {}
    request = {"spec": {"variant": "mlp"} | ({} if grid else more), "grid": grid}
    answer = service.client.post("/v1/experiments", json={**request, "device": device})
    (error,) = problem(answer, 422, "invalid")["errors"]
    assert error["pointer"] == pointer
    assert '"device": "gpu"' in error["detail"]
    assert planned(service, **request, device="gpu")["valid"]


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_regressions_have_no_narrow_numbers(service: Service, precision: str) -> None:
    request = {"spec": {"variant": "polynomial", "precision": precision}, "device": "gpu"}
    (error,) = problem(service.client.post("/v1/experiments", json=request), 422, "invalid")["errors"]
    assert error["pointer"] == "/spec/precision"


def test_what_is_asked_to_train_on_the_cpu_does(service: Service) -> None:
    run = service.run_of(service.submit(device="cpu"))
    with service.database.write() as session:
        held = jobs.claim(session, worker="s", queues=("gpu", "cpu"), lease_seconds=9, device="cuda H200", threads=2)
    assert held is not None
    assert held.device == "cpu"
    assert service.get(f"/v1/runs/{run['id']}")["device"] == "cpu"
