"""Specs: a default for every field, a bound for every number, nothing coerced."""

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from mlcore.spec import VARIANTS, MlpSpec, parse_run_spec


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_variant_alone_is_a_spec_that_survives_json(variant: str) -> None:
    spec = parse_run_spec({"variant": variant})
    assert parse_run_spec(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


def test_defaults_are_the_books() -> None:
    mlp, polynomial, linear = (parse_run_spec({"variant": variant}).model_dump(mode="json") for variant in VARIANTS)
    assert (mlp["hidden"], mlp["learning_rate"], mlp["batch_size"], mlp["epochs"]) == ([256], 0.1, 256, 10)
    assert mlp["init"] == {"scheme": "normal", "std": 0.01}
    assert (polynomial["learning_rate"], polynomial["batch_size"], polynomial["epochs"]) == (0.01, 10, 400)
    assert (polynomial["loss"], polynomial["init"]) == ("mse", {"scheme": "linear_default"})
    assert (linear["learning_rate"], linear["batch_size"], linear["epochs"]) == (0.003, 5, 100)
    assert (linear["loss"], linear["init"]) == ("half_squared_error", {"scheme": "normal", "std": 1.0})
    assert parse_run_spec({"variant": "linear", "implementation": "concise"}).loss == "mse"
    assert [spec["precision"] for spec in (mlp, polynomial, linear)] == ["float32", "float64", "float64"]


def test_dropout_defaults_to_none_for_each_hidden_layer() -> None:
    assert MlpSpec(hidden=[5, 4, 3]).dropout == [0.0, 0.0, 0.0]


def test_lambda_is_weight_decay() -> None:
    assert parse_run_spec({"variant": "linear", "lambda": 3}).weight_decay == 3


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": -1}, "epochs"),
        ({"epochs": 10**9}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"epochs": "3"}, "epochs"),
        ({"epochs": 3.0}, "epochs"),
        ({"seed": 10**40}, "seed"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"learning_rate": 1e30}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"dropout": [1.5]}, 0),
        ({"dropout": [0.1, 0.2]}, "dropout"),
        ({"hidden": [0]}, 0),
        ({"hidden": [1] * 9}, "hidden"),
        ({"degree": 3}, "degree"),
        ({"weight_decay": 1, "lambda": 1}, "lambda"),
        ({"loss": "mse"}, "loss"),
        ({"n_train": 50_000, "n_valid": 20_000}, "mlp"),
        ({"nonsense": 1}, "nonsense"),
        ({"init": {"scheme": "normal", "std": -1}}, "std"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_stands(fields: dict[str, Any], location: str | int) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_run_spec({"variant": "mlp", **fields})
    assert location in [error["loc"][-1] for error in caught.value.errors()]


def test_a_data_set_too_large_for_memory_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 24000000"):
        parse_run_spec({"variant": "linear", "n_inputs": 10_000, "n_train": 100_000})


def test_specs_do_without_torch() -> None:
    code = "import sys, mlcore.presets, mlcore.spec, mlcore.stack; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
