"""The pictures of a sweep's curves, and what of them is cached."""

import pytest

from tests.api.service import Service
from tests.api.sweeps import EPOCHS, PNG, losses_of, sweep


def test_curves_have_an_etag_that_changes_with_the_training(service: Service) -> None:
    experiment = service.submit({"variant": "linear", "epochs": 2}, seeds=2)
    claim = service.claim()
    service.store(claim, [1], test_loss=[1.0])
    path = experiment["links"]["curves"]
    tags = set()
    for params in ({}, {"format": "csv"}, {"format": "png"}, {"aggregate": "mean"}, {"metric": "test_loss"}):
        first = service.client.get(path, params=params)
        assert "no-cache" in first.headers["cache-control"]
        tags.add(first.headers["etag"])
        again = service.client.get(path, params=params, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert len(tags) == 5
    service.store(claim, [2], test_loss=[0.5])
    assert service.client.get(path).headers["etag"] not in tags
    service.end(claim, {run.run_id: "succeeded" for run in claim.runs})
    assert "max-age" in service.client.get(path).headers["cache-control"]


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
@pytest.mark.parametrize("path", ["curves", "summary"])
def test_numbers_settle_when_no_retry_can_change_them_and_pictures_never(service: Service, end: str, path: str) -> None:
    experiment = service.submit({"variant": "polynomial", "epochs": EPOCHS}, seeds=2)
    service.train(losses_of, lambda spec: end if spec["seed"] else "succeeded")
    assert service.get(experiment["links"]["self"])["status"] == "succeeded"
    for form in ("json", "csv", "png", "svg"):
        answer = service.client.get(experiment["links"][path], params={"format": form})
        is_settled = end == "succeeded" and form in ("json", "csv")
        assert ("max-age" in answer.headers["cache-control"]) == is_settled, form


def test_a_picture_has_the_new_name_at_once(service: Service) -> None:
    experiment = sweep(service, name="before")
    for path in (experiment["links"]["curves"], experiment["links"]["summary"]):
        service.client.patch(experiment["links"]["self"], json={"name": "before"})
        first = service.client.get(path, params={"format": "svg"})
        service.client.patch(experiment["links"]["self"], json={"name": "after"})
        known = {"If-None-Match": first.headers["etag"]}
        again = service.client.get(path, params={"format": "svg"}, headers=known)
        assert again.status_code == 200
        assert again.content != first.content


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize("params", [{}, {"group_by": "degree", "aggregate": "std"}, {"metric": "weight_l2_norm"}])
def test_pictures_are_the_same_for_the_same_curves(service: Service, form: str, params: dict[str, str]) -> None:
    experiment = sweep(service, name="A sweep with $ and\nlines")
    answers = [service.client.get(experiment["links"]["curves"], params={"format": form, **params}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[0].content.startswith(PNG if form == "png" else b"<?xml")


def test_a_picture_of_many_groups_says_that_they_are_too_many(service: Service) -> None:
    experiment = sweep(service, grid={"degree": list(range(20))}, seeds=1)
    answer = service.client.get(experiment["links"]["curves"], params={"format": "svg"})
    assert answer.content.startswith(b"<?xml")
    assert b"too many to tell apart" in answer.content
    few = service.client.get(experiment["links"]["curves"], params={"format": "svg", "group_by": "penalty"})
    assert b"too many" not in few.content
