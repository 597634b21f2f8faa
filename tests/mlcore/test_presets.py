"""Presets hold the book's settings, each of them, and stand for what they say."""

import math
from typing import Any

import pytest

from mlcore.expansion import expand
from mlcore.presets import PRESETS

NORMAL = {"scheme": "normal", "std": 0.01}
DEFAULT = {"scheme": "linear_default"}
IMAGES = {
    "variant": "mlp",
    "activation": "relu",
    "n_train": 60_000,
    "n_valid": 0,
    "n_test": 10_000,
    "batch_size": 256,
    "epochs": 10,
    "evaluate_every": 1,
    "weight_decay": 0,
    "loss": "cross_entropy",
}
ONE_LAYER = {**IMAGES, "hidden": [256], "dropout": [0], "learning_rate": 0.1, "init": NORMAL}
TWO_LAYERS = {**IMAGES, "hidden": [256, 256], "dropout": [0.2, 0.5], "learning_rate": 0.5}
POLYNOMIAL = {
    "variant": "polynomial",
    "coefficients": [5, 1.2, -3.4, 5.6],
    "noise_std": 0.1,
    "n_train": 100,
    "n_valid": 0,
    "n_test": 100,
    "learning_rate": 0.01,
    "batch_size": 10,
    "weight_decay": 0,
    "loss": "mse",
    "init": DEFAULT,
    "evaluate_every": 20,
}
RIDGE = {
    "variant": "linear",
    "n_inputs": 200,
    "true_weight": 0.01,
    "true_bias": 0.05,
    "noise_std": 0.01,
    "n_train": 20,
    "n_valid": 0,
    "n_test": 100,
    "learning_rate": 0.003,
    "batch_size": 5,
    "epochs": 100,
    "penalty": "l2",
    "init": {"scheme": "normal", "std": 1},
    "evaluate_every": 5,
}
SCRATCH = {"implementation": "scratch"}
CONCISE = {"implementation": "concise"}
THE_BOOK: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "mlp-scratch": ("4.2", [ONE_LAYER | SCRATCH]),
    "mlp-concise": ("4.3", [ONE_LAYER | CONCISE]),
    "polynomial-normal": ("4.4", [POLYNOMIAL | {"degree": 3, "epochs": 400}]),
    "polynomial-underfit": ("4.4", [POLYNOMIAL | {"degree": 1, "epochs": 400}]),
    "polynomial-overfit": ("4.4", [POLYNOMIAL | {"degree": 19, "epochs": 1500}]),
    "weight-decay-scratch": (
        "4.5",
        [RIDGE | SCRATCH | {"weight_decay": decay, "loss": "half_squared_error"} for decay in (0, 3)],
    ),
    "weight-decay-concise": ("4.5", [RIDGE | CONCISE | {"weight_decay": decay, "loss": "mse"} for decay in (0, 3)]),
    "dropout-scratch": ("4.6", [TWO_LAYERS | SCRATCH | {"init": DEFAULT}]),
    "dropout-concise": ("4.6", [TWO_LAYERS | CONCISE | {"init": NORMAL}]),
}


@pytest.mark.parametrize("name", THE_BOOK)
def test_a_figure_of_the_book_has_its_settings(name: str) -> None:
    section, wanted = THE_BOOK[name]
    resolved = [spec.model_dump(mode="json") for spec in expand(PRESETS[name].experiment)]
    assert PRESETS[name].section == section
    assert [
        {field: spec[field] for field in settings} for spec, settings in zip(resolved, wanted, strict=True)
    ] == wanted
    assert all((spec["seed"], spec["data_seed"], spec["fold"]) == (0, 0, None) for spec in resolved)


def test_presets_come_in_the_order_of_the_chapter() -> None:
    sections = [preset.section for preset in PRESETS.values()]
    assert sections == sorted(sections)
    assert set(sections) == {"4.2", "4.3", "4.4", "4.5", "4.6"}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_preset_is_an_experiment_that_says_what_it_shows(preset: Any) -> None:
    repeated = [preset.request.get(axis, 1) for axis in ("seeds", "data_seeds", "folds")]
    points = [len(values) for values in preset.request.get("grid", {}).values()]
    assert len(expand(preset.experiment)) == math.prod(points + repeated)
    assert preset.title
    assert preset.sentence.endswith(".")
    assert preset.figure.partition("?")[0] == ("summary" if "summary" in preset.figure else "curves")


def test_the_generalisation_error_is_measured_on_a_million_points() -> None:
    assert max(spec.n_test for spec in expand(PRESETS["generalisation-error"].experiment)) == 1_000_000
