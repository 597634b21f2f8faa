"""Activation functions and dropout over HTTP."""

import csv
import io
import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from api.schemas.concepts import MOST_POINTS, ActivationQuery
from tests.api.service import problem
from tests.api.sweeps import PNG

ACTIVATIONS = "/v1/concepts/activations"


def test_the_list_leads_to_each_concept(running: TestClient) -> None:
    items = running.get("/v1/concepts").json()["items"]
    assert [item["name"] for item in items] == ["relu", "sigmoid", "tanh", "dropout"]
    assert [running.get(item["href"]).status_code for item in items] == [200] * 4


def test_an_activation_is_the_books_by_default(running: TestClient) -> None:
    found = running.get(f"{ACTIVATIONS}/sigmoid").json()
    x, y, dy_dx = (np.array(found[name]) for name in ("x", "y", "dy_dx"))
    np.testing.assert_allclose(x, np.arange(-8.0, 8.0, 0.1), atol=1e-12)
    assert 0.0 in x
    np.testing.assert_allclose(dy_dx, y * (1 - y), rtol=1e-12)
    assert found["formula"] == "1 / (1 + exp(−x))"


def test_a_table_has_the_same_numbers(running: TestClient) -> None:
    params = {"start": -0.3, "stop": 0.3, "step": 0.1}
    found = running.get(f"{ACTIVATIONS}/relu", params=params).json()
    answer = running.get(f"{ACTIVATIONS}/relu", params={**params, "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))
    assert [float(row["x"]) for row in rows] == found["x"] == [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2]
    assert [float(row["dy_dx"]) for row in rows] == found["dy_dx"] == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("relu", {}),
        ("sigmoid", {"start": 3, "stop": 4, "step": 5}),
        ("tanh", {"start": -1e6, "stop": 1e6, "step": 1000}),
    ],
)
def test_an_activation_is_a_picture_with_its_derivative(
    running: TestClient, name: str, params: dict[str, float]
) -> None:
    answers = [running.get(f"{ACTIVATIONS}/{name}", params={"format": "svg", **params}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    said = " ".join(re.findall("<!-- (.*?) -->", answers[0].text, re.DOTALL))
    assert f"{name}(x) = " in said
    assert f"{name}′(x) = " in said


def test_pictures_come_by_accept_and_are_kept_by_their_etag(running: TestClient) -> None:
    first = running.get(f"{ACTIVATIONS}/tanh", headers={"Accept": "image/png"})
    assert first.content.startswith(PNG)
    known = {"Accept": "image/png", "If-None-Match": first.headers["etag"]}
    assert running.get(f"{ACTIVATIONS}/tanh", headers=known).status_code == 304
    assert running.get(f"{ACTIVATIONS}/tanh", headers=known, params={"step": 0.2}).status_code == 200
    problem(running.get(f"{ACTIVATIONS}/tanh", params={"format": "pdf"}), 406, "not-acceptable")


def test_an_unknown_activation_names_those_there_are(running: TestClient) -> None:
    assert "relu, sigmoid, tanh" in problem(running.get(f"{ACTIVATIONS}/gelu"), 404, "not-found")["detail"]


@pytest.mark.parametrize(
    ("path", "params", "pointer", "said"),
    [
        ("activations/relu", {"stop": -8}, "/stop", "greater than start, -8"),
        ("activations/relu", {"start": 8}, "/stop", "greater than start, 8"),
        ("activations/relu", {"step": 0}, "/step", "at least"),
        ("activations/relu", {"step": -0.1}, "/step", "at least"),
        ("activations/relu", {"step": 1e-9}, "/step", "take at least 0.0016"),
        ("activations/relu", {"start": "nan"}, "/start", "finite"),
        ("activations/relu", {"begin": 1}, "/begin", "not a known field"),
        ("dropout", {"p": 1.1}, "/p", "at most 1"),
        ("dropout", {"p": "nan"}, "/p", "finite"),
        ("dropout", {"rows": 0}, "/rows", "at least 1"),
        ("dropout", {"rows": 101, "cols": 100}, "/cols", "with 101 rows take at most 99"),
        ("dropout", {"rows": 5000}, "/cols", "with 5000 rows take at most 2"),
        ("dropout", {"seed": -1}, "/seed", "at least 0"),
    ],
)
def test_impossible_parameters_are_pointed_out(
    running: TestClient, path: str, params: dict[str, Any], pointer: str, said: str
) -> None:
    (error,) = problem(running.get(f"/v1/concepts/{path}", params=params), 422, "invalid")["errors"]
    assert (error["in"], error["pointer"]) == ("query", pointer)
    assert said in error["detail"]


@given(
    start=st.decimals(-500_000, 500_000, places=3),
    points=st.integers(1, 50),
    step=st.decimals("0.0001", 10_000, places=4),
)
@settings(deadline=None)
def test_x_is_what_the_decimal_numbers_mean(start: Decimal, points: int, step: Decimal) -> None:
    stop = start + points * step
    x = ActivationQuery(start=float(start), stop=float(stop), step=float(step)).x
    assert x == [float(start + index * step) for index in range(points)]


@given(stop=st.floats(-8, 1e6, exclude_min=True))
@settings(max_examples=20, deadline=None)
def test_the_step_that_is_advised_is_taken(running: TestClient, stop: float) -> None:
    answer = running.get(f"{ACTIVATIONS}/relu", params={"stop": stop, "step": 1e-9})
    if answer.status_code != 200:
        (error,) = problem(answer, 422, "invalid")["errors"]
        advised = re.search(r"at least ([\d.]+)", error["detail"])
        assert advised is not None
        assert 0 < len(ActivationQuery(stop=stop, step=float(advised[1])).x) <= MOST_POINTS


@pytest.mark.parametrize(("p", "dropped"), [(0, 0), (1, 16)])
def test_dropout_of_the_books_tensor_at_its_ends(running: TestClient, p: float, dropped: int) -> None:
    found = running.get("/v1/concepts/dropout", params={"p": p}).json()
    assert (found["rows"], found["cols"], found["seed"]) == (2, 8, 0)
    assert found["x"] == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15]]
    assert found["output"] == ([[0.0] * 8] * 2 if p else found["x"])
    assert (found["dropped"], found["mean_before"], found["mean_after"]) == (dropped, 7.5, 0 if p else 7.5)


def test_dropout_keeps_the_mean_over_many_masks(running: TestClient) -> None:
    found = [running.get("/v1/concepts/dropout", params={"seed": seed}).json() for seed in range(50)]
    assert {value for one in found for row in one["mask"] for value in row} == {0.0, 2.0}
    means = [one["mean_after"] for one in found]
    assert len(set(means)) > 25
    error = math.sqrt(np.var(means) / len(means))
    assert np.mean(means) == pytest.approx(7.5, abs=4 * error)
    one = found[0]
    assert one["mean_after"] == np.mean(one["output"])
    assert np.array_equal(np.array(one["output"]), np.array(one["x"]) * np.array(one["mask"]))


def test_numbers_below_an_axis_have_room(client: TestClient) -> None:
    params: dict[str, Any] = {"start": -0.001, "stop": 0.001, "step": 0.0005, "format": "svg"}
    picture = client.get("/v1/concepts/activations/relu", params=params).text
    below = re.findall(r'<g id="xtick_\d+">.*?<!-- (\S+) -->', picture, re.DOTALL)
    assert sum(map(len, below)) < 70, "on two panels"
