"""PATCH and DELETE /v1/experiments/{id}."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from store.tables import Run
from tests.api.service import Service, problem
from worker.janitor import purge


def patch(service: Service, experiment: dict[str, Any], **changes: Any) -> Any:
    return service.client.patch(experiment["links"]["self"], json=changes)


def test_name_tags_and_note_can_be_changed(service: Service) -> None:
    experiment = service.submit(name="old", note="n", tags={"a": "1", "b": "2"})
    answer = patch(service, experiment, name="new", tags={"b": None, "c": "3"})
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["name"], changed["note"], changed["tags"]) == ("new", "n", {"a": "1", "c": "3"})
    assert changed["request"] == experiment["request"]
    assert service.get(experiment["links"]["self"]) == changed
    assert [one["id"] for one in service.get("/v1/experiments", tag="c:3", q="new")["items"]] == [experiment["id"]]
    assert service.get("/v1/experiments", tag="b:2")["items"] == []


def test_null_takes_a_name_and_a_note_away(service: Service) -> None:
    changed = patch(service, service.submit(name="old", note="n"), name=None, note=None).json()
    assert (changed["name"], changed["note"]) == (None, None)


def test_a_change_shows_in_the_etag(service: Service) -> None:
    experiment = service.submit()
    known = service.client.get(experiment["links"]["self"]).headers["etag"]
    new = patch(service, experiment, name="new").headers["etag"]
    assert new != known
    again = service.client.get(experiment["links"]["self"], headers={"If-None-Match": new})
    assert again.status_code == 304


def test_nothing_to_change_is_nothing_changed(service: Service) -> None:
    experiment = service.submit(name="same")
    assert patch(service, experiment).json() == service.get(experiment["links"]["self"])


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": " \t"}, "/name"),
        ({"priority": 3}, "/priority"),
        ({"tags": {"a": 1}}, "/tags/a"),
        ({"tags": None}, "/tags"),
        ({"tags": {str(number): "" for number in range(49)}}, "/tags"),
    ],
)
def test_impossible_changes_are_pointed_out(service: Service, changes: dict[str, Any], pointer: str) -> None:
    experiment = service.submit(tags={"a": "1", "b": "2"})
    found = problem(patch(service, experiment, **changes), 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == [pointer]


def test_a_finished_experiment_is_deleted_and_its_space_freed(service: Service) -> None:
    experiment = service.submit(seeds=3)
    run = service.run_of(experiment)
    service.train(lambda _: {"test_loss": [1.0]})
    answer = service.client.delete(experiment["links"]["self"])
    assert (answer.status_code, answer.content) == (204, b"")
    for path in (experiment["links"]["self"], *experiment["links"].values(), *run["links"].values()):
        if not path.endswith((":cancel", ":retry")):
            problem(service.client.get(path), 404, "not-found")
    assert service.get("/v1/experiments")["items"] == service.get("/v1/runs")["items"] == []
    purge(service.database)
    with service.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 0


def test_a_queued_experiment_is_cancelled_and_deleted(service: Service) -> None:
    experiment = service.submit()
    assert service.client.delete(experiment["links"]["self"]).status_code == 204
    assert service.try_claim() is None
    assert service.get("/v1/queue")["waiting"] == []


def test_a_running_experiment_is_not_deleted(service: Service) -> None:
    experiment = service.submit()
    claim = service.claim()
    found = problem(service.client.delete(experiment["links"]["self"]), 409, "still-running")
    assert "cancel" in found["detail"]
    service.finish(claim)
    assert service.client.delete(experiment["links"]["self"]).status_code == 204


def test_what_is_not_there_can_be_neither_changed_nor_deleted(service: Service) -> None:
    experiment = service.submit()
    service.client.delete(experiment["links"]["self"])
    for known_as in (UUID(experiment["id"]), uuid4(), "no-uuid"):
        problem(service.client.delete(f"/v1/experiments/{known_as}"), 404, "not-found")
        problem(service.client.patch(f"/v1/experiments/{known_as}", json={}), 404, "not-found")


def test_ephemeral_experiments_are_found_but_not_listed(service: Service) -> None:
    experiment = service.submit(ephemeral=True)
    assert service.get("/v1/experiments")["items"] == service.get("/v1/runs")["items"] == []
    assert service.get(experiment["links"]["self"])["ephemeral"]


def test_what_changed_in_the_meantime_is_neither_changed_nor_deleted(service: Service) -> None:
    experiment = service.submit(name="first")
    address = experiment["links"]["self"]
    known = service.client.get(address).headers["etag"]
    now = patch(service, experiment, name="second").headers["etag"]
    for stale in (known, f"W/{now}", '"nope", "neither"'):
        headers = {"If-Match": stale}
        problem(service.client.patch(address, json={"name": "third"}, headers=headers), 412, "changed-meanwhile")
        problem(service.client.delete(address, headers=headers), 412, "changed-meanwhile")
    assert service.get(address)["name"] == "second"
    changed = service.client.patch(address, json={"name": "third"}, headers={"If-Match": f'"other", {now}'})
    assert changed.json()["name"] == "third"
    assert service.client.delete(address, headers={"If-Match": changed.headers["etag"]}).status_code == 204
    other = service.submit()
    assert service.client.delete(other["links"]["self"], headers={"If-Match": "*"}).status_code == 204
