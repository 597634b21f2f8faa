"""Whatever JSON or bytes come in, the answer is a problem document that points into them, never a 500."""

import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.service import Service, problem

JSON = {"Content-Type": "application/json"}
FIELDS = [
    "variant",
    "hidden",
    "epochs",
    "lambda",
    "weight_decay",
    "init",
    "scheme",
    "std",
    "degree",
    "dropout",
    "every",
]
FIELDS += ["keep_checkpoints", "coefficients", "loss", "n_train", "learning_rate", "seed", "mlp", "normal", "[key]"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**40, 10**400, 0, 1, -1])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["mlp", "polynomial", "linear", "normal", "linear_default", "last", "concise", "l1"])
)
WEIGHTS = {"layers.0.weight": np.zeros((1, 2)), "layers.0.bias": np.zeros(1)}
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
SPECS = st.fixed_dictionaries(
    {"variant": st.sampled_from(["mlp", "polynomial", "linear"])}, optional=dict.fromkeys(FIELDS[1:], VALUES)
)
ENVELOPE = dict.fromkeys(
    ["name", "tags", "note", "priority", "device", "ephemeral", "grid", "seeds", "folds", "x"], VALUES
)
BODIES = st.fixed_dictionaries({"spec": SPECS | VALUES}, optional=ENVELOPE) | VALUES


@given(body=BODIES)
@settings(max_examples=150, deadline=None)
def test_no_json_makes_the_service_fail(running: TestClient, body: object) -> None:
    content = json.dumps(body)
    answer = running.post("/v1/experiments", params={"validate_only": True}, content=content, headers=JSON)
    if answer.status_code != 200:
        for error in problem(answer, 422, "invalid")["errors"]:
            resolve(json.loads(content), error["pointer"])


def resolve(document: Any, pointer: str) -> None:
    """Follow a pointer into the document; its last step may be what is missing."""
    *parents, _last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")][1:] or [""]
    for part in parents:
        document = document[int(part)] if isinstance(document, list) else document[part]


@given(body=st.binary(max_size=40))
@settings(max_examples=50, deadline=None)
def test_no_bytes_make_the_service_fail(running: TestClient, body: bytes) -> None:
    answer = running.post("/v1/experiments", content=body, headers=JSON)
    assert answer.status_code in (400, 422)


ASKED = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("inputs", "indices", "split", "checkpoint", "x"), VALUES)
) | st.fixed_dictionaries({"inputs": st.lists(VALUES, max_size=3)})


@pytest.mark.parametrize("spec", [{"variant": "polynomial", "degree": 1}, {"variant": "linear", "n_inputs": 2}])
@given(body=ASKED)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_prediction_request_makes_the_service_fail(service: Service, spec: dict[str, Any], body: object) -> None:
    runs = service.get("/v1/runs", variant=spec["variant"])["items"]
    address = runs[0]["links"]["self"] if runs else f"/v1/runs/{service.trained(spec, WEIGHTS)}"
    answer = service.client.post(f"{address}/predictions", content=json.dumps(body), headers=JSON)
    if answer.status_code not in (200, 404):
        problem(answer, 422, "invalid")


PATHS = ["/v1/experiments", "/v1/runs"]


@given(
    path=st.sampled_from(PATHS),
    params=st.dictionaries(
        st.sampled_from(["page_size", "page_token", "status", "variant", "tag", "q", "order_by", "x"]),
        st.text(max_size=10)
        | st.integers().map(str)
        | st.sampled_from(["queued", "mlp", "a:b", "%", "_", "created_at"]),
    ),
)
@settings(max_examples=100, deadline=None)
def test_no_list_query_makes_the_service_fail(running: TestClient, path: str, params: dict[str, str]) -> None:
    answer = running.get(path, params=params)
    if answer.status_code != 200:
        problem(answer, 422, "invalid")


ASKED_OF_CURVES = st.dictionaries(
    st.sampled_from(["metric", "group_by", "aggregate", "max_points", "after_epoch", "format", "x", "y", "limit"]),
    st.text(max_size=5)
    | st.integers().map(str)
    | st.sampled_from(
        ["mean,std", "max", "test_loss", "degree", "lambda,degree", "fold", "init", "csv", "svg", ",", "30"]
    ),
    max_size=3,
)


@given(part=st.sampled_from(["curves", "summary"]), params=ASKED_OF_CURVES)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_question_about_a_sweep_makes_the_service_fail(service: Service, part: str, params: dict[str, str]) -> None:
    there = service.get("/v1/experiments", q="fuzzed")["items"]
    if not there:
        service.submit(grid={"degree": [1, 2], "init": [{"scheme": "normal"}]}, folds=2, name="fuzzed")
        service.train(lambda spec: {"test_loss": [1.0, float(spec["degree"])], "valid_loss": [1.0, np.nan]})
        there = service.get("/v1/experiments", q="fuzzed")["items"]
    answer = service.client.get(there[0]["links"][part], params=params)
    if answer.status_code == 406:
        problem(answer, 406, "not-acceptable")
    elif answer.status_code != 200:
        problem(answer, 422, "invalid")
