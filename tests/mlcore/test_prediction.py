"""Predictions are the network's, for a client's inputs and for stored examples."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mlcore.errors import BadInputs
from mlcore.network import Parameters
from mlcore.prediction import predict, predict_split
from tests.mlcore.trainings import SAMPLE, epochs, spec_of, training


def trained(name: str, **changes: Any) -> tuple[Any, Parameters, dict[str, float]]:
    run = training([spec_of(name, **changes)])
    last = list(epochs(run))[-1].metrics
    return run.specs[0], run.weights(0), {metric: float(values[0]) for metric, values in last.items()}


def test_predictions_of_the_test_split_have_the_accuracy_that_training_reported() -> None:
    spec, weights, metrics = trained("dropout", epochs=8)
    items = predict_split(spec, weights, "test", range(200), SAMPLE)
    assert np.mean([item["label"] == item["predicted"] for item in items]) == pytest.approx(metrics["test_accuracy"])
    assert all(sum(item["probabilities"]) == pytest.approx(1, abs=1e-5) for item in items)
    assert items[3]["index"] == 3
    assert items[3]["label_name"] in {
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    }


@pytest.mark.parametrize("name", ["polynomial", "linear"])
def test_predictions_of_a_regression_have_the_loss_that_training_reported(name: str) -> None:
    spec, weights, metrics = trained(name, loss="mse", n_valid=20)
    for split in ("train", "valid", "test"):
        items = predict_split(spec, weights, split, range(20), SAMPLE)
        errors = np.array([item["y"] - item["target"] for item in items])
        if split != "test":  # 20 examples are all of them
            sizes = {"train": spec.n_train, "valid": spec.n_valid}
            if sizes[split] == 20:
                assert np.mean(errors**2) == pytest.approx(metrics[f"{split}_loss"])


def test_weights_fit_torch_nn() -> None:
    spec, weights, _ = trained("mlp", precision="float64")
    net = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)).to(torch.float64)
    net.load_state_dict(
        {f"{2 * layer}.{name}": weights[f"layers.{layer}.{name}"] for layer in (0, 1) for name in ("weight", "bias")}
    )
    image = np.random.default_rng(0).random(784).tolist()
    expected = net(torch.tensor([image], dtype=torch.float64)).softmax(1)[0].tolist()
    assert predict(spec, weights, [image])[0]["probabilities"] == pytest.approx(expected)


def test_a_polynomial_is_evaluated_at_x() -> None:
    spec, weights, _ = trained("polynomial")
    w = weights["layers.0.weight"][0].tolist()
    (item,) = predict(spec, weights, [2.0])
    assert item == {"x": 2.0, "y": pytest.approx(w[0] + 2 * w[1] + 2 * w[2] + 8 / 6 * w[3])}


def test_pixels_may_go_to_1_or_to_255_in_rows_or_in_one() -> None:
    spec, weights, _ = trained("mlp")
    pixels = (np.arange(784) % 256).tolist()
    rows = np.array(pixels).reshape(28, 28).tolist()
    unit = (np.array(pixels) / 255).tolist()
    first, *others = (item["probabilities"] for item in predict(spec, weights, [pixels, rows, unit]))
    assert all(other == pytest.approx(first) for other in others)


@pytest.mark.parametrize(
    ("name", "inputs", "pointer"),
    [
        ("polynomial", [1.0, "2"], "/inputs/1"),
        ("polynomial", [True], "/inputs/0"),
        ("polynomial", [[1.0]], "/inputs/0"),
        ("polynomial", [1e300], "/inputs/0"),
        ("polynomial", [float("nan")], "/inputs/0"),
        ("linear", [[0.0] * 200, [0.0] * 199], "/inputs/1"),
        ("linear", [[None] * 200], "/inputs/0"),
        ("mlp", [[0.0] * 783], "/inputs/0"),
        ("mlp", [[[0.0] * 28] * 27], "/inputs/0"),
        ("mlp", [[-1.0] * 784], "/inputs/0"),
        ("mlp", [[256] * 784], "/inputs/0"),
        ("mlp", ["aGVsbG8="], "/inputs/0"),
    ],
)
def test_inputs_that_do_not_fit_are_named(name: str, inputs: list[Any], pointer: str) -> None:
    spec, weights, _ = trained(name, epochs=1)
    with pytest.raises(BadInputs) as caught:
        predict(spec, weights, inputs)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("polynomial", "must be a number x, at most 1,000,000 in size"),
        ("linear", "must be a list of 200 numbers, each at most 1,000,000 in size"),
        ("mlp", "pixels go from 0 (black) to 1, or from 0 to 255"),
    ],
)
def test_what_inputs_may_be_is_said(name: str, said: str) -> None:
    spec, weights, _ = trained(name, epochs=1)
    with pytest.raises(BadInputs, match=re.escape(said)):
        predict(spec, weights, [None])


@pytest.mark.parametrize(
    ("split", "indices", "pointer"),
    [("valid", [0], "/split"), ("test", [0, 200], "/indices/1"), ("test", [-1], "/indices/0")],
)
def test_examples_that_are_not_there_are_named(split: str, indices: list[int], pointer: str) -> None:
    spec, weights, _ = trained("mlp", epochs=1)
    with pytest.raises(BadInputs) as caught:
        predict_split(spec, weights, split, indices, SAMPLE)
    assert caught.value.pointer == pointer
