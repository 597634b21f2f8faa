"""Requests to start from, by variant: the experiments of the chapter."""

from typing import Any, Final

EXPERIMENTS: Final[dict[str, list[dict[str, Any]]]] = {
    "mlp": [
        {
            "summary": "The multilayer perceptron of 4.2",
            "description": "One hidden layer of 256 units on all of Fashion-MNIST, written from scratch.",
            "value": {"spec": {"variant": "mlp"}, "name": "MLP from scratch", "tags": {"chapter": "4.2"}},
        },
        {
            "summary": "Dropout, 4.6",
            "description": "Two hidden layers; a fifth of the first and half of the second are dropped while training.",
            "value": {
                "spec": {"variant": "mlp", "hidden": [256, 256], "dropout": [0.2, 0.5], "learning_rate": 0.5},
                "name": "Dropout",
                "tags": {"chapter": "4.6"},
            },
        },
    ],
    "polynomial": [
        {
            "summary": "A fitting polynomial, 4.4",
            "description": "Degree 3, as the data.",
            "value": {"spec": {"variant": "polynomial", "degree": 3}, "name": "Normal fit", "tags": {"chapter": "4.4"}},
        },
        {
            "summary": "Overfitting, 4.4",
            "description": "Degree 19 has far more features than the data needs.",
            "value": {
                "spec": {"variant": "polynomial", "degree": 19, "epochs": 1500},
                "name": "Overfitting",
                "tags": {"chapter": "4.4"},
            },
        },
    ],
    "linear": [
        {
            "summary": "Without weight decay, 4.5",
            "description": "200 inputs and 20 examples: the training loss vanishes, the test loss does not.",
            "value": {"spec": {"variant": "linear"}, "name": "λ = 0", "tags": {"chapter": "4.5"}},
        },
        {
            "summary": "With weight decay, 4.5",
            "description": "λ = 3 holds the weights small.",
            "value": {"spec": {"variant": "linear", "weight_decay": 3}, "name": "λ = 3", "tags": {"chapter": "4.5"}},
        },
    ],
}


def for_openapi() -> dict[str, Any]:
    """The same by name, as OpenAPI lists examples."""
    return {f"{variant}-{number}": one for variant, some in EXPERIMENTS.items() for number, one in enumerate(some, 1)}
