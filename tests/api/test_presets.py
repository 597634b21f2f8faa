"""The chapter's figures over HTTP: looked at and run."""

from typing import Any

import pytest

from mlcore.presets import PRESETS
from tests.api.service import Service, problem


def test_presets_are_listed_in_the_order_of_the_chapter(service: Service) -> None:
    items = service.get("/v1/presets")["items"]
    assert [item["name"] for item in items] == list(PRESETS)
    first = items[0]
    assert (first["section"], first["variant"], first["runs"]) == ("4.2", "mlp", 1)
    assert first["title"]
    assert first["sentence"]
    assert 1 < first["estimated_seconds"] < 100
    assert first["figure"] == "/v1/experiments/{experiment_id}/curves?format=png"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_shows_the_request_that_it_stands_for(service: Service, name: str) -> None:
    preset = service.get(f"/v1/presets/{name}")
    answer = service.client.post("/v1/experiments", params={"validate_only": True}, json=preset["request"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["runs"] == preset["runs"]
    assert answer.json()["specs"][0]["variant"] == preset["variant"]


def test_a_preset_is_run_as_its_request_would_be(service: Service) -> None:
    answer = service.client.post("/v1/presets/weight-decay-scratch:run")
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert answer.headers["location"] == found["links"]["self"]
    assert "retry-after" in answer.headers
    assert found["name"] == "Weight decay from scratch"
    assert found["tags"] == {"preset": "weight-decay-scratch", "section": "4.5"}
    assert found["runs"]["total"] == 2
    assert service.client.post("/v1/experiments", json=found["request"]).json()["request"] == found["request"]
    figure = service.get("/v1/presets/weight-decay-scratch")["figure"].format(experiment_id=found["id"])
    service.train(lambda spec: {"train_loss": [2.0, 1.0], "test_loss": [3.0, 2.0 - spec["weight_decay"] / 9]})
    assert service.client.get(figure).headers["content-type"] == "image/png"


def test_a_preset_is_run_with_changes(service: Service) -> None:
    changes = {"name": "mine", "tags": {"who": "me"}, "note": "n", "data_seeds": 3, "device": "cpu"}
    found = service.client.post("/v1/presets/polynomial-normal:run", json=changes).json()
    assert (found["name"], found["note"], found["runs"]["total"]) == ("mine", "n", 3)
    assert found["tags"] == {"who": "me", "preset": "polynomial-normal", "section": "4.4"}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_preset_is_told_which_there_are(service: Service, method: str) -> None:
    path = "/v1/presets/mlp" if method == "GET" else "/v1/presets/mlp:run"
    said = problem(service.client.request(method, path), 404, "not-found")["detail"]
    assert all(name in said for name in PRESETS)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"spec": {"variant": "mlp"}}, "/spec"),
        ({"name": " "}, "/name"),
        ({"seeds": 0}, "/seeds"),
        ({"data_seeds": [1, 1]}, "/data_seeds"),
        ({"device": "tpu"}, "/device"),
        ({"tags": {"a b": "c"}}, "/tags/a b"),
    ],
)
def test_changes_that_do_not_fit_are_pointed_out(service: Service, changes: dict[str, Any], pointer: str) -> None:
    answer = service.client.post("/v1/presets/polynomial-normal:run", json=changes)
    found = problem(answer, 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == [pointer]


def test_a_change_that_no_preset_takes_lists_those_that_it_takes(service: Service) -> None:
    answer = service.client.post("/v1/presets/polynomial-normal:run", json={"seedz": 2})
    said = problem(answer, 422, "invalid")["errors"][0]["detail"]
    assert "did you mean seeds" in said
    assert "data_seeds" in said


def test_a_preset_can_be_looked_at_before_it_is_run(service: Service) -> None:
    path = "/v1/presets/polynomial-normal:run"
    answer = service.client.post(path, params={"validate_only": True}, json={"data_seeds": 3})
    assert (answer.status_code, answer.json()["runs"]) == (200, 3)
    assert service.get("/v1/experiments")["items"] == []


@pytest.mark.parametrize("name", ["mlp-scratch", "no-such-preset"])
def test_running_is_for_post_alone(service: Service, name: str) -> None:
    answer = service.client.get(f"/v1/presets/{name}:run")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


def test_there_is_nothing_at_other_names_with_a_colon(service: Service) -> None:
    problem(service.client.get("/v1/presets/mlp-scratch:walk"), 404, "not-found")
