"""The trainings that judge the chapter's claims, as experiments with the settings of its figures. Torch-free."""

from collections.abc import Mapping
from typing import Any, Final

from mlcore.presets import DROPOUT, LINEAR_DEFAULT, MLP, POLYNOMIAL, WEIGHT_DECAY

FEW: Final = 5000
"""Images of the trainings that take a part of them only."""
DATA_SETS: Final = 100
"""Replicates of trainings that cost next to nothing."""
CONCISE_DATA_SETS: Final = 20
"""Of trainings with torch.nn, which go one by one."""
FOLDED_DATA_SETS: Final = 40
MASKS: Final = 50

CONVERGED: Final[dict[str, Any]] = {**POLYNOMIAL, "epochs": 1500, "evaluate_every": 50}
NO_WEIGHTS: Final = {"keep_checkpoints": "none"}
MANY_TESTS: Final = {"n_test": 10_000, "evaluate_every": 1500}
BOTH: Final = ["scratch", "concise"]

# What takes longest comes first, so that no worker is idle in the end.
TRAININGS: Final[dict[str, Mapping[str, Any]]] = {
    "mlp": {"name": "One hidden layer on all images", "spec": {**MLP, "keep_checkpoints": "last"}, "seeds": 5},
    "depth": {
        "name": "Hidden layers with and without activation",
        "spec": {**MLP, **NO_WEIGHTS, "init": LINEAR_DEFAULT},
        "grid": {"activation": ["identity", "relu"], "hidden": [[], [64, 64]]},
        "seeds": 5,
    },
    "dropout": {
        "name": "Dropout on few images",
        "spec": {
            **DROPOUT,
            **NO_WEIGHTS,
            "n_train": FEW,
            "learning_rate": 0.1,
            "batch_size": 64,
            "epochs": 20,
            "evaluate_every": 4,
        },
        "grid": {"dropout": [[0.0, 0.0], [0.2, 0.5]]},
        "seeds": 5,
        "data_seeds": 2,
    },
    "implementations": {
        "name": "The MLP from scratch and concise",
        "spec": {**MLP, **NO_WEIGHTS, "n_train": FEW},
        "grid": {"implementation": BOTH},
        "seeds": 5,
    },
    "five-points": {
        "name": "Five points",
        "spec": {
            **POLYNOMIAL,
            "degree": 19,
            "n_train": 5,
            "learning_rate": 0.05,
            "epochs": 3000,
            "evaluate_every": 100,
        },
        "data_seeds": DATA_SETS,
    },
    "polynomials": {
        "name": "Polynomials after 1,500 epochs",
        "spec": CONVERGED,
        "grid": {"degree": [3, 19]},
        "data_seeds": DATA_SETS,
    },
    "polynomials-400": {
        "name": "Polynomials after 400 epochs",
        "spec": POLYNOMIAL,
        "grid": {"degree": [1, 3]},
        "data_seeds": DATA_SETS,
    },
    "folds": {
        "name": "Five folds of 100 points",
        "spec": {**POLYNOMIAL, **NO_WEIGHTS, **MANY_TESTS},
        "grid": {"epochs": [400, 1500]},
        "folds": 5,
        "data_seeds": FOLDED_DATA_SETS,
    },
    "whole": {
        "name": "All of the 100 points",
        "spec": {**POLYNOMIAL, **NO_WEIGHTS, **MANY_TESTS},
        "grid": {"epochs": [400, 1500]},
        "data_seeds": FOLDED_DATA_SETS,
    },
    "penalties": {
        "name": "L1 and L2 penalties",
        "spec": {**CONVERGED, "degree": 19, "weight_decay": 0.01},
        "grid": {"penalty": ["l1", "l2"]},
        "data_seeds": FOLDED_DATA_SETS,
    },
    "weight-decay-concise": {
        "name": "Weight decay, concise",
        "spec": {**WEIGHT_DECAY, **NO_WEIGHTS, "implementation": "concise", "loss": "mse"},
        "grid": {"weight_decay": [0, 3]},
        "data_seeds": CONCISE_DATA_SETS,
    },
    "weight-decay": {
        "name": "Weight decay from scratch",
        "spec": {**WEIGHT_DECAY, **NO_WEIGHTS},
        "grid": {"weight_decay": [0, 3]},
        "data_seeds": DATA_SETS,
    },
    "regressions": {
        "name": "Weight decay from scratch and concise, with one loss",
        "spec": {**WEIGHT_DECAY, **NO_WEIGHTS, "weight_decay": 3},
        "grid": {"implementation": BOTH},
        "data_seeds": CONCISE_DATA_SETS,
    },
}

DROPOUT_MASKS: Final = {"rows": 100, "cols": 100, "p": 0.5}
"""A tensor of which GET /v1/concepts/dropout shows what dropout makes, for MASKS seeds."""
