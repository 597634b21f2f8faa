"""Everything that is wrong with a request gets a problem document that says what, and nothing answers 500."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import problem_kinds
from api.app import create_app
from api.settings import ApiSettings
from tests.api.service import problem
from worker.logs import ConsoleFormatter

JSON = {"Content-Type": "application/json"}
HUGE = b'{"spec": {"variant": "linear"}, "note": "' + b"x" * 1024 * 1024 + b'"}'


def errors(client: TestClient, spec: dict[str, Any], **envelope: Any) -> dict[str, str]:
    """What POST says of a spec: details by pointer."""
    answer = client.post("/v1/experiments", content=json.dumps({"spec": spec, **envelope}), headers=JSON)
    found = problem(answer, 422, "invalid")
    return {error["pointer"]: error["detail"] for error in found["errors"]}


@pytest.mark.parametrize("body", [b"{", b"{'spec': 1}", b"nonsense", b'{"a": 1,}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_refused(client: TestClient, body: bytes) -> None:
    problem(client.post("/v1/experiments", content=body, headers=JSON), 400, "not-json")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"3", b'"spec"', b"{}", b"NaN", b"[" * 30 + b"]" * 30])
def test_json_that_is_no_experiment_is_refused(client: TestClient, body: bytes) -> None:
    found = problem(client.post("/v1/experiments", content=body, headers=JSON), 422, "invalid")
    assert found["errors"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-" + "9" * 350, "9" * 5000])
def test_numbers_that_are_not_finite_are_pointed_out(client: TestClient, number: str) -> None:
    body = f'{{"spec": {{"variant": "linear", "learning_rate": {number}}}}}'
    found = problem(client.post("/v1/experiments", content=body, headers=JSON), 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == ["/spec/learning_rate"]
    assert "finite" in found["errors"][0]["detail"]


def test_a_field_given_twice_is_pointed_out(client: TestClient) -> None:
    body = '{"spec": {"variant": "linear", "epochs": 1, "epochs": 2}}'
    found = problem(client.post("/v1/experiments", content=body, headers=JSON), 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == ["/spec/epochs"]


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\u0007", "\\u001b", "\\ufffe"])
def test_characters_that_no_text_has_are_refused(client: TestClient, text: str) -> None:
    twice = f'{{"spec": {{"{text}": 1, "{text}": 2}}}}'
    problem(client.post("/v1/experiments", content=twice, headers=JSON), 422, "invalid")
    for body in (
        '{"spec": {"variant": "linear"}, "name": "%s"}',
        '{"spec": {"variant": "linear"}, "tags": {"%s": ""}}',
    ):
        problem(client.post("/v1/experiments", content=body % text, headers=JSON), 422, "invalid")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("epochs", 0, "at least 1"),
        ("epochs", -1, "at least 1"),
        ("epochs", 10**9, "at most 100000"),
        ("epochs", 10**40, "at most 100000"),
        ("epochs", True, "whole number"),
        ("epochs", "3", "whole number"),
        ("epochs", 3.5, "whole number"),
        ("epochs", None, "whole number"),
        ("learning_rate", 0, "greater than 0"),
        ("learning_rate", -1, "greater than 0"),
        ("learning_rate", 1e30, "at most 1000"),
        ("learning_rate", 10**399, "1.8e308"),
        ("learning_rate", "fast", "must be a number"),
        ("weight_decay", -0.1, "at least 0"),
        ("lambda", -0.1, "at least 0"),
        ("seed", 2**53, "at most 9007199254740991"),
        ("dropout", [1.5], "at most 1"),
        ("dropout", [0.5, 0.5], "one per hidden layer"),
        ("dropout", 0.5, "must be a list"),
        ("hidden", [0], "at least 1"),
        ("hidden", [1] * 9, "at most 8 items"),
        ("activation", "swish", "'relu'"),
        ("reuse", 1, "true or false"),
        ("init", 3, "must be an object"),
        ("keep_checkpoints", "all", "'last_and_best'"),
        ("loss", "mse", "cross_entropy"),
    ],
)
def test_values_out_of_bounds_are_pointed_out(client: TestClient, field: str, value: object, said: str) -> None:
    found = errors(client, {"variant": "mlp", field: value})
    (pointer,) = found
    assert pointer in (f"/spec/{field}", f"/spec/{field}/0")
    assert said in found[pointer]


def test_every_wrong_field_is_listed_once(client: TestClient) -> None:
    spec = {
        "variant": "mlp",
        "hidden": [0, "x"],
        "epochs": 0,
        "keep_checkpoints": {"every": 0},
        "init": {"scheme": "no"},
    }
    assert set(errors(client, spec)) == {
        "/spec/hidden/0",
        "/spec/hidden/1",
        "/spec/epochs",
        "/spec/keep_checkpoints/every",
        "/spec/init/scheme",
    }


@pytest.mark.parametrize(
    ("spec", "pointer", "said"),
    [
        ({}, "/spec/variant", ["mlp", "polynomial", "linear"]),
        ({"variant": "cnn"}, "/spec/variant", ["mlp", "polynomial", "linear"]),
        ({"variant": 3}, "/spec/variant", ["mlp", "polynomial", "linear"]),
        ({"variant": "mlp", "degree": 3}, "/spec/degree", ["polynomial", "hidden", "dropout"]),
        ({"variant": "polynomial", "dropout": [0.5]}, "/spec/dropout", ["mlp", "degree"]),
        ({"variant": "linear", "lamda": 3}, "/spec/lamda", ["did you mean lambda", "weight_decay, lambda"]),
        ({"variant": "linear", "epoch": 3}, "/spec/epoch", ["did you mean epochs", "true_bias"]),
        ({"variant": "mlp", "mlp": 1}, "/spec/mlp", ["allowed: ", "hidden"]),
        ({"variant": "mlp", "a/b~c": 1}, "/spec/a~1b~0c", ["allowed: "]),
        ({"variant": "mlp", "init": {"scheme": "normal", "mean": 1}}, "/spec/init/mean", ["allowed: scheme, std"]),
        ({"variant": "mlp", "init": {}}, "/spec/init/scheme", ["required", "normal"]),
        ({"variant": "mlp", "keep_checkpoints": {"evry": 3, "every": 3}}, "/spec/keep_checkpoints/evry", ["every"]),
        ({"variant": "mlp", "lambda": 1, "weight_decay": 1}, "/spec/lambda", ["weight_decay"]),
    ],
)
def test_unknown_fields_and_variants_list_what_is_allowed(
    client: TestClient, spec: dict[str, Any], pointer: str, said: list[str]
) -> None:
    found = errors(client, spec)
    assert set(found) == {pointer}
    assert all(words in found[pointer] for words in said), found


@pytest.mark.parametrize(
    ("envelope", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": " \n "}, "/name"),
        ({"name": 3}, "/name"),
        ({"tags": {"a b": "x"}}, "/tags/a b"),
        ({"tags": {"a": 1}}, "/tags/a"),
        ({"tags": [1]}, "/tags"),
        ({"priority": 1000}, "/priority"),
        ({"device": "tpu"}, "/device"),
        ({"ephemeral": "yes"}, "/ephemeral"),
        ({"nmae": "x"}, "/nmae"),
    ],
)
def test_the_envelope_is_read_strictly_too(client: TestClient, envelope: dict[str, Any], pointer: str) -> None:
    assert set(errors(client, {"variant": "linear"}, **envelope)) == {pointer}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_bodies_of_another_type_are_refused(client: TestClient, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    found = problem(client.post("/v1/experiments", content=b"{}", headers=headers), 415, "unsupported-media-type")
    assert "application/json" in found["detail"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/x+json"])
def test_json_by_another_name_is_taken(client: TestClient, content_type: str) -> None:
    body = b'{"spec": {"variant": "linear"}}'
    answer = client.post("/v1/experiments", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 202


def test_a_body_over_the_limit_is_refused(client: TestClient) -> None:
    found = problem(client.post("/v1/experiments", content=HUGE, headers=JSON), 413, "too-large")
    assert "1048576" in found["detail"]


def test_a_chunked_body_over_the_limit_is_refused(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(HUGE), 100_000):
            yield HUGE[start : start + 100_000]

    problem(client.post("/v1/experiments", content=chunks(), headers=JSON), 413, "too-large")


@pytest.mark.parametrize(
    ("path", "params", "pointer"),
    [
        ("/v1/experiments", {"page_size": -1}, "/page_size"),
        ("/v1/runs", {"page_size": 10**6}, "/page_size"),
        ("/v1/experiments", {"page_size": "all"}, "/page_size"),
        ("/v1/experiments", {"page_token": "made up"}, "/page_token"),
        ("/v1/experiments", {"page_token": "WzEsMl0="}, "/page_token"),
        ("/v1/experiments", {"page_token": "W251bGwsbnVsbCxudWxsXQ=="}, "/page_token"),
        ("/v1/runs", {"page_token": "x" * 1000}, "/page_token"),
        ("/v1/experiments", {"status": "done"}, "/status"),
        ("/v1/experiments", {"variant": "cnn"}, "/variant"),
        ("/v1/experiments", {"tag": "chapter"}, "/tag"),
        ("/v1/experiments", {"tag": "a:\0"}, "/tag"),
        ("/v1/experiments", {"q": "\0"}, "/q"),
        ("/v1/experiments", {"order_by": "name"}, "/order_by"),
        ("/v1/experiments", {"pagesize": 3}, "/pagesize"),
    ],
)
def test_impossible_parameters_are_pointed_out(
    client: TestClient, path: str, params: dict[str, Any], pointer: str
) -> None:
    found = problem(client.get(path, params=params), 422, "invalid")
    assert [(error["in"], error["pointer"]) for error in found["errors"]] == [("query", pointer)]


@pytest.mark.parametrize("path", ["nothing", "v1", "v1/experiments/x/y/z", "problems/none", "v1/experiments/", "docs/"])
def test_an_unknown_path_is_not_found(client: TestClient, path: str) -> None:
    problem(client.get(f"/{path}"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/experiments", "GET, HEAD, POST"),
        ("PUT", "/v1/runs", "GET, HEAD"),
        ("GET", "/v1/experiments/018f0000-0000-7000-8000-000000000000:cancel", "POST"),
        ("PUT", "/v1/presets/polynomial-normal:run", "POST"),
        ("POST", "/v1/presets/polynomial-normal", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(client: TestClient, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


def test_every_kind_of_problem_has_its_page(client: TestClient) -> None:
    listed = client.get("/problems").text
    for kind in problem_kinds.ALL:
        page = client.get(f"/problems/{kind.slug}")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert kind.title in page.text
        assert f"/problems/{kind.slug}" in listed


def test_request_ids_come_back_and_are_made_where_there_is_none(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(ConsoleFormatter("api"))
    with caplog.at_level("INFO", logger="epochd.api"):
        given_one = client.get("/v1/nothing", headers={"X-Request-ID": "lesson-4.2"})
    assert problem(given_one, 404, "not-found")["request_id"] == "lesson-4.2"
    assert "GET /v1/nothing 404" in caplog.text
    assert "request_id=lesson-4.2" in caplog.text
    for unfit in (b"", b"a b", b"x" * 200, b"\xff"):
        made = client.get("/healthz", headers=[(b"X-Request-ID", unfit)])
        assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])


def test_a_defect_is_a_problem_too(settings: ApiSettings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(ConsoleFormatter("api"))
    app = create_app(settings)

    @app.get("/defect")
    def defect() -> None:
        raise ZeroDivisionError("a secret")

    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        found = problem(client.get("/defect", headers={"X-Request-ID": "abc"}), 500, "internal")
    assert "secret" not in json.dumps(found)
    assert "request_id=abc" in caplog.text
    assert "ZeroDivisionError" in caplog.text
