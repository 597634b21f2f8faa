"""Query parameters that a route does not know, or that come twice, are errors, whatever the method."""

import base64
from itertools import permutations
from typing import Any

import pytest

from tests.api.service import Service, problem


def said(answer: Any) -> dict[str, str]:
    """What is wrong with the query: details by pointer."""
    found = problem(answer, 422, "invalid")
    assert {error["in"] for error in found["errors"]} == {"query"}
    return {error["pointer"]: error["detail"] for error in found["errors"]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/experiments/{id}"),
        ("HEAD", "/v1/experiments/{id}"),
        ("PATCH", "/v1/experiments/{id}"),
        ("DELETE", "/v1/experiments/{id}"),
        ("POST", "/v1/experiments/{id}:cancel"),
        ("POST", "/v1/experiments/{id}:retry"),
        ("GET", "/v1/experiments/{id}/events"),
        ("POST", "/v1/experiments"),
        ("POST", "/v1/presets/polynomial-normal:run"),
        ("POST", "/v1/compare"),
        ("GET", "/v1/queue"),
        ("GET", "/v1/variants"),
        ("GET", "/v1/workers"),
        ("GET", "/v1/concepts"),
        ("POST", "/v1/session"),
        ("DELETE", "/v1/session"),
    ],
)
def test_what_a_route_does_not_declare_is_refused(service: Service, method: str, path: str) -> None:
    experiment = service.submit()
    url = path.format(id=experiment["id"])
    answer = service.client.request(method, url, params={"dry_run": "true"}, json={} if method == "PATCH" else None)
    assert answer.status_code == 422
    if method != "HEAD":
        assert "not a known field" in said(answer)["/dry_run"]
    assert [one["id"] for one in service.get("/v1/experiments", status="queued")["items"]] == [experiment["id"]]


def test_what_is_allowed_is_listed(service: Service) -> None:
    found = said(service.client.get("/v1/experiments", params={"pagesize": 1, "a/b": 2}))
    assert set(found) == {"/pagesize", "/a~1b"}
    assert "did you mean page_size" in found["/pagesize"]
    assert "order_by" in found["/a~1b"]
    assert "no parameters" in said(service.client.get("/v1/variants?x=1"))["/x"]


def test_a_parameter_is_given_once_where_one_value_is_meant(service: Service) -> None:
    assert "twice" in said(service.client.get("/v1/experiments?page_size=1&page_size=2"))["/page_size"]
    curves = service.run_of(service.submit())["links"]["curves"]
    assert service.client.get(f"{curves}?metric=train_loss&metric=test_loss").status_code == 200


def test_a_token_of_another_order_is_refused(service: Service) -> None:
    for _ in range(2):
        service.submit()
    token = service.get("/v1/experiments", page_size=1)["next_page_token"]
    answer = service.client.get("/v1/experiments", params={"page_token": token, "order_by": "created_at"})
    problem(answer, 422, "invalid")


def test_a_token_of_another_list_is_refused(service: Service) -> None:
    experiment = service.submit(seeds=2)
    other = service.submit(seeds=2)
    lists = [experiment["links"]["runs"], other["links"]["runs"], "/v1/experiments", "/v1/runs"]
    tokens = {path: service.get(path, page_size=1)["next_page_token"] for path in lists}
    for path, source in permutations(lists, 2):
        problem(service.client.get(path, params={"page_token": tokens[source]}), 422, "invalid")


@pytest.mark.parametrize(
    "content",
    [*(f'["PATH",{one}]' for one in ("-1", "1.0", "true", "2147483648", "1e999", "[1]")), '["PATH"]', "[]", "3", "{}"],
)
def test_a_made_up_token_of_an_experiments_runs_is_refused(service: Service, content: str) -> None:
    path = service.submit()["links"]["runs"]
    made_up = base64.urlsafe_b64encode(content.replace("PATH", path).encode()).decode()
    answer = service.client.get(path, params={"page_token": made_up})
    assert [error["pointer"] for error in problem(answer, 422, "invalid")["errors"]] == ["/page_token"]
