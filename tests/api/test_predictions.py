"""Asking trained weights about inputs."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.settings import ApiSettings
from tests.api.service import Service, client_of, problem
from tests.png import encoded, enormous, picture, saved, without_palette

CUBIC = {"layers.0.weight": np.array([[5.0, 1.2, -3.4, 5.6]])}
PLAIN_LINEAR = {"variant": "linear", "n_inputs": 2}
PLANE = {"layers.0.weight": np.array([[2.0, -1.0]]), "layers.0.bias": np.array([0.5])}
SOFTMAX = {"variant": "mlp", "hidden": [], "n_train": 10, "n_test": 10}


def softmax_weights() -> dict[str, np.ndarray]:
    """A classifier that says 3, whatever it is shown."""
    bias = np.zeros(10, dtype=np.float32)
    bias[3] = 5.0
    return {"layers.0.weight": np.zeros((10, 784), dtype=np.float32), "layers.0.bias": bias}


def test_a_polynomial_is_asked_about_numbers(service: Service) -> None:
    run_id = service.trained({"variant": "polynomial"}, CUBIC)
    answer = service.client.post(f"/v1/runs/{run_id}/predictions", json={"inputs": [0, 1.0, -2]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["run_id"], found["checkpoint"], found["epoch"]) == (str(run_id), "last", 2)
    assert [item["x"] for item in found["items"]] == [0, 1, -2]
    assert found["items"][1]["y"] == pytest.approx(5 + 1.2 - 3.4 / 2 + 5.6 / 6)
    assert found["items"][0]["target"] is None


def test_a_linear_run_is_asked_about_lists(service: Service) -> None:
    run_id = service.trained(PLAIN_LINEAR, PLANE)
    answer = service.client.post(
        f"/v1/runs/{run_id}/predictions", json={"inputs": [[1, 1], [0, 3.5]], "checkpoint": "best"}
    )
    assert [item["y"] for item in answer.json()["items"]] == [1.5, -3.0]
    assert answer.json()["epoch"] == 1


def test_an_mlp_is_asked_about_images(service: Service) -> None:
    run_id = service.trained(SOFTMAX, softmax_weights())
    images = [[0.0] * 784, [[255] * 28] * 28]
    items = service.client.post(f"/v1/runs/{run_id}/predictions", json={"inputs": images}).json()["items"]
    assert [(item["predicted"], item["predicted_name"], item["label"]) for item in items] == [(3, "dress", None)] * 2
    assert sum(items[0]["probabilities"]) == pytest.approx(1)


def test_a_run_is_asked_about_its_own_data(service: Service) -> None:
    run_id = service.trained({"variant": "polynomial", "n_test": 5}, CUBIC)
    asked = {"split": "test", "indices": [4, 0]}
    items = service.client.post(f"/v1/runs/{run_id}/predictions", json=asked).json()["items"]
    assert [item["index"] for item in items] == [4, 0]
    assert all(item["target"] == pytest.approx(item["y"], abs=1) for item in items)


def test_images_of_the_test_set_come_with_their_labels(
    settings: ApiSettings, service: Service, sample_root: Path
) -> None:
    run_id = service.trained({**SOFTMAX, "n_train": 100, "n_test": 20}, softmax_weights())
    changes = {"data": sample_root, "database_url": settings.url, "broker_url": "memory://"}
    with client_of(settings.model_copy(update=changes)) as client:
        answer = client.post(f"/v1/runs/{run_id}/predictions", json={"split": "test", "indices": [0, 19]})
    assert all(0 <= item["label"] <= 9 and item["label_name"] for item in answer.json()["items"])


def test_outputs_that_are_not_finite_are_null(service: Service) -> None:
    run_id = service.trained({"variant": "polynomial", "degree": 0}, {"layers.0.weight": np.array([[math.inf]])})
    answer = service.client.post(f"/v1/runs/{run_id}/predictions", json={"inputs": [1]})
    assert answer.json()["items"][0]["y"] is None


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"inputs": ["1"]}, "/inputs/0"),
        ({"inputs": [1, [2]]}, "/inputs/1"),
        ({"inputs": [1, True]}, "/inputs/1"),
        ({"inputs": [None]}, "/inputs/0"),
        ({"inputs": [10**300]}, "/inputs/0"),
        ({"inputs": []}, "/inputs"),
        ({"inputs": 3}, "/inputs"),
        ({"inputs": [0] * 1001}, "/inputs"),
        ({}, ""),
        ({"inputs": [1], "split": "test", "indices": [0]}, ""),
        ({"split": "test"}, ""),
        ({"split": "test", "indices": [100]}, "/indices/0"),
        ({"split": "test", "indices": [-1]}, "/indices/0"),
        ({"split": "test", "indices": [0.0]}, "/indices/0"),
        ({"split": "valid", "indices": [0]}, "/split"),
        ({"split": "tets", "indices": [0]}, "/split"),
        ({"inputs": [1], "checkpoint": "worst"}, "/checkpoint"),
        ({"inputs": [1], "input": [1]}, "/input"),
    ],
)
def test_wrong_inputs_are_pointed_out(service: Service, asked: dict[str, Any], pointer: str) -> None:
    run_id = service.trained({"variant": "polynomial"}, CUBIC)
    answer = service.client.post(f"/v1/runs/{run_id}/predictions", json=asked)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_an_mlp_is_asked_about_png_files(service: Service) -> None:
    bright = {"layers.0.weight": np.zeros((10, 784), np.float32), "layers.0.bias": np.zeros(10, np.float32)}
    bright["layers.0.weight"][7] = 1.0
    bright["layers.0.bias"][2] = 400.0
    run_id = service.trained(SOFTMAX, bright)
    images = [encoded(saved(picture(colour=level))) for level in (0, 1, 255)]
    items = service.client.post(f"/v1/runs/{run_id}/predictions", json={"inputs": images}).json()["items"]
    assert [item["predicted"] for item in items] == [2, 2, 7]  # a level of 1 is next to black, not white


def test_images_may_fill_a_larger_body(service: Service) -> None:
    run_id = service.trained(SOFTMAX, softmax_weights())
    address = f"/v1/runs/{run_id}/predictions"
    fits, too_many = ([[255] * 784] * number for number in (400, 800))
    assert service.client.post(address, json={"inputs": fits}).status_code == 200
    problem(service.client.post(address, json={"inputs": too_many}), 413, "too-large")


@pytest.mark.parametrize(
    "image",
    [
        [0.0] * 783,
        [[0.0] * 28] * 27,
        [["0"] * 28] * 28,
        [-1.0] * 784,
        [256] * 784,
        "R0lG",
        encoded(saved(picture(), "GIF")),
        encoded(saved(picture())[:50]),
        encoded(enormous(20_000, 20_000)),
        encoded(without_palette(saved(picture("P")))),
    ],
)
def test_what_is_no_image_is_refused(service: Service, image: object) -> None:
    run_id = service.trained(SOFTMAX, softmax_weights())
    answer = service.client.post(f"/v1/runs/{run_id}/predictions", json={"inputs": [image]})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/inputs/0"


@pytest.mark.parametrize("asked", [{}, {"split": "test"}, {"inputs": [1], "split": "test", "indices": [0]}])
def test_what_belongs_together_is_said_in_a_sentence(service: Service, asked: dict[str, Any]) -> None:
    run_id = service.trained(PLAIN_LINEAR, {"layers.0.weight": np.zeros((1, 2))})
    answer = service.client.post(f"/v1/runs/{run_id}/predictions", json=asked)
    assert problem(answer, 422, "invalid")["detail"].startswith("The body must have ")


def test_a_run_without_weights_cannot_be_asked(service: Service) -> None:
    run = service.run_of(service.submit())
    answer = service.client.post(run["links"]["predictions"], json={"inputs": [1]})
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/no-checkpoint"
