"""What a run has learned: its fit, its predictions on stored data, its confusion matrix."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from api.settings import ApiSettings
from mlcore.data.fashion_mnist import NAMES
from mlcore.prediction import classes
from mlcore.spec import MlpSpec
from store.engine import Database
from tests.api.pictures import assert_png, assert_svg
from tests.api.service import Service, client_of, problem

CUBIC = {"layers.0.weight": np.array([[5.0, 1.2, -3.4, 5.6]])}
SOFTMAX: dict[str, Any] = {"variant": "mlp", "hidden": [], "n_train": 300, "n_test": 200}


def random_weights() -> dict[str, np.ndarray]:
    """A classifier that is right now and then."""
    weight = np.random.default_rng(0).standard_normal((10, 784)).astype(np.float32)
    return {"layers.0.weight": weight, "layers.0.bias": np.zeros(10, np.float32)}


@pytest.fixture
def images(settings: ApiSettings, database: Database, sample_root: Path) -> Iterator[Service]:
    """A service with the sample of Fashion-MNIST."""
    changes = {"data": sample_root, "database_url": settings.url, "broker_url": "memory://"}
    with client_of(settings.model_copy(update=changes)) as client:
        yield Service(client, database)


def test_a_fit_shows_the_learned_and_the_true_polynomial_over_the_points(service: Service) -> None:
    weights = {"layers.0.weight": np.array([[5.0, 1.2, -3.4, 5.6, 1.0]])}
    run = service.trained({"variant": "polynomial", "degree": 4, "n_train": 30, "n_valid": 7}, weights)
    found = service.get(f"/v1/runs/{run}/fit")
    x, learned, true = (np.array(found[name]) for name in ("x", "learned", "true"))
    np.testing.assert_allclose(true, 5 + 1.2 * x - 3.4 * x**2 / 2 + 5.6 * x**3 / 6)
    np.testing.assert_allclose(learned - true, x**4 / 24, atol=1e-9)
    assert {name: len(part["x"]) for name, part in found["points"].items()} == {"train": 30, "valid": 7, "test": 100}
    inputs = np.concatenate([part["x"] for part in found["points"].values()])
    assert (x[0], x[-1]) == (inputs.min(), inputs.max())
    assert (found["checkpoint"], found["epoch"]) == ("last", 2)
    assert service.get(f"/v1/runs/{run}/fit", checkpoint="best")["epoch"] == 1


@pytest.mark.parametrize("degree", [0, 3])
def test_the_points_of_a_fit_are_those_of_its_predictions(service: Service, degree: int) -> None:
    weights = {name: values[:, : degree + 1] for name, values in CUBIC.items()}
    run = service.trained({"variant": "polynomial", "degree": degree}, weights)
    points = service.get(f"/v1/runs/{run}/fit")["points"]["test"]
    items = service.get(f"/v1/runs/{run}/predictions", limit=100)["items"]
    assert points["x"] == [item["x"] for item in items]
    assert points["y"] == [item["target"] for item in items]
    assert degree or {item["y"] for item in items} == {5.0}, "a constant says the same of every x"


@pytest.mark.parametrize("weights", [[[5.0]], [[np.inf]], [[1e300]]])
def test_a_constant_and_a_lost_polynomial_are_drawn_too(service: Service, weights: Any) -> None:
    run = service.trained({"variant": "polynomial", "degree": 0}, {"layers.0.weight": np.array(weights)})
    assert len(service.get(f"/v1/runs/{run}/fit")["x"]) > 100
    assert_png(service.client.get(f"/v1/runs/{run}/fit", params={"format": "png"}).content)
    assert_svg(service.client.get(f"/v1/runs/{run}/fit", params={"format": "svg"}).content)


def test_many_points_are_drawn_as_their_first_thousand(service: Service) -> None:
    run = service.trained({"variant": "polynomial", "n_test": 5000}, CUBIC)
    assert len(service.get(f"/v1/runs/{run}/fit")["points"]["test"]["x"]) == 1000


def test_a_regression_lists_its_outputs_page_by_page(service: Service) -> None:
    run = service.trained({"variant": "linear", "n_inputs": 1}, {"layers.0.weight": np.array([[2.0]])})
    found = service.get(f"/v1/runs/{run}/predictions", split="train", offset=15, limit=10)
    assert (found["total"], found["offset"], found["split"]) == (20, 15, "train")
    assert [item["index"] for item in found["items"]] == [15, 16, 17, 18, 19]
    assert all(item["target"] is not None for item in found["items"])


def test_errors_are_the_images_off_the_diagonal(images: Service) -> None:
    run = images.trained(SOFTMAX, random_weights())
    found = images.get(f"/v1/runs/{run}/predictions", only="errors", limit=1000)
    matrix = images.get(f"/v1/runs/{run}/confusion-matrix")
    counts = np.array(matrix["counts"])
    assert counts.shape == (10, 10)
    assert counts.sum() == 200
    assert matrix["accuracy"] == counts.trace() / 200
    assert found["total"] == len(found["items"]) == 200 - counts.trace()
    for item in found["items"]:
        assert item["label"] != item["predicted"]
        counts[item["label"], item["predicted"]] -= 1
    assert (counts == np.diag(counts.diagonal())).all()
    page = images.get(f"/v1/runs/{run}/predictions", only="errors", offset=3, limit=2)
    assert page["items"] == found["items"][3:5]


def test_a_confusion_matrix_is_a_table_with_names(images: Service) -> None:
    run = images.trained(SOFTMAX, random_weights())
    answer = images.client.get(f"/v1/runs/{run}/confusion-matrix", params={"format": "csv", "split": "train"})
    head, *rows = csv.reader(io.StringIO(answer.text, newline=""), strict=True)
    assert head == ["label", *NAMES]
    assert [row[0] for row in rows] == list(NAMES)
    assert sum(int(count) for row in rows for count in row[1:]) == 300


@pytest.mark.parametrize("params", [{}, {"limit": 3}, {"limit": 1000}, {"only": "errors"}, {"offset": 10_000}])
def test_tiles_are_a_picture(images: Service, params: dict[str, Any]) -> None:
    run = images.trained(SOFTMAX, random_weights(), name="A name with $ and\nlines")
    answer = images.client.get(f"/v1/runs/{run}/predictions", params={"format": "png", **params})
    assert answer.status_code == 200, answer.text
    assert_png(answer.content)


@pytest.mark.parametrize(("form", "check"), [("png", assert_png), ("svg", assert_svg)])
def test_a_confusion_matrix_is_a_picture_and_is_not_drawn_twice(images: Service, form: str, check: Any) -> None:
    path = f"/v1/runs/{images.trained(SOFTMAX, random_weights())}/confusion-matrix"
    first = images.client.get(path, params={"format": form})
    check(first.content)
    again = images.client.get(path, params={"format": form}, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = images.client.get(path, params={"format": form, "checkpoint": "best"})
    assert other.headers["etag"] != first.headers["etag"]


def test_a_data_set_that_is_not_there_is_told_and_not_fetched(service: Service, tmp_path: Path) -> None:
    run = service.trained(SOFTMAX, random_weights())
    for path in ("predictions", "confusion-matrix"):
        found = problem(service.client.get(f"/v1/runs/{run}/{path}"), 503, "dataset-unusable")
        assert "make data" in found["detail"]
    asked = service.client.post(f"/v1/runs/{run}/predictions", json={"split": "test", "indices": [0]})
    problem(asked, 503, "dataset-unusable")


@pytest.mark.parametrize(
    ("variant", "path"),
    [
        ("mlp", "fit"),
        ("linear", "fit"),
        ("polynomial", "confusion-matrix"),
        ("polynomial", "predictions?format=png"),
        ("linear", "predictions?only=errors"),
    ],
)
def test_what_a_variant_does_not_have_is_a_conflict(service: Service, variant: str, path: str) -> None:
    run = service.trained({"variant": variant}, CUBIC)
    problem(service.client.get(f"/v1/runs/{run}/{path}"), 409, "not-for-this-variant")


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("predictions?split=valid", "/split"),
        ("predictions?split=tests", "/split"),
        ("predictions?limit=0", "/limit"),
        ("predictions?only=right", "/only"),
        ("predictions?page=2", "/page"),
        ("fit?checkpoint=worst", "/checkpoint"),
        ("fit?split=test", "/split"),
    ],
)
def test_impossible_parameters_are_pointed_out(service: Service, path: str, pointer: str) -> None:
    run = service.trained({"variant": "polynomial"}, CUBIC)
    (error,) = problem(service.client.get(f"/v1/runs/{run}/{path}"), 422, "invalid")["errors"]
    assert (error["in"], error["pointer"]) == ("query", pointer)


def test_formats_that_do_not_exist_are_refused_with_the_choices(service: Service) -> None:
    run = service.trained({"variant": "polynomial"}, CUBIC)
    for path, choices in (("fit", "json png svg"), ("predictions", "json png")):
        answer = service.client.get(f"/v1/runs/{run}/{path}", params={"format": "csv"})
        assert all(choice in problem(answer, 406, "not-acceptable")["detail"] for choice in choices.split())


def test_a_run_without_weights_has_learned_nothing(service: Service) -> None:
    run = service.run_of(service.submit())
    problem(service.client.get(f"/v1/runs/{run['id']}/fit"), 404, "no-checkpoint")
    problem(service.client.get(f"/v1/runs/{UUID(int=1)}/fit"), 404, "not-found")


@pytest.mark.parametrize(
    ("variant", "path", "status"),
    [
        ("polynomial", "confusion-matrix", 409),
        ("linear", "fit", 409),
        ("polynomial", "predictions?format=png", 409),
        ("polynomial", "predictions?only=errors", 409),
        ("polynomial", "predictions", 404),
        ("polynomial", "fit?format=csv", 406),
        ("linear", "fit?format=csv", 406),
        ("polynomial", "predictions?format=svg", 406),
    ],
)
def test_what_no_weights_would_help_is_told_before_there_are_any(
    service: Service, variant: str, path: str, status: int
) -> None:
    run = service.run_of(service.submit({"variant": variant}))
    assert service.client.get(f"/v1/runs/{run['id']}/{path}").status_code == status


def test_classes_agree_however_many_examples_are_held_at_once(
    sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    weights = {name: torch.from_numpy(values) for name, values in random_weights().items()}
    spec = MlpSpec(hidden=[], n_train=300, n_test=200)
    labels, predicted = classes(spec, weights, "test", sample_root)
    monkeypatch.setattr("mlcore.prediction.EXAMPLES_AT_ONCE", 7)
    again = classes(spec, weights, "test", sample_root)
    np.testing.assert_array_equal(again, (labels, predicted))
