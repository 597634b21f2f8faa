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
        {
            "summary": "How much dropout, 4.6",
            "description": "A grid of three dropouts and two learning rates, three seeds each: 18 runs, compared by "
            "their loss on 10,000 images that none of them trains on.",
            "value": {
                "spec": {"variant": "mlp", "n_train": 50_000, "n_valid": 10_000},
                "grid": {"dropout": [[0], [0.2], [0.5]], "learning_rate": [0.1, 0.5]},
                "seeds": 3,
                "name": "How much dropout",
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
        {
            "summary": "Overfitting on nearly every data set",
            "description": "Five points are learned by heart; ten data sets show how often the diagnosis says so.",
            "value": {
                "spec": {
                    "variant": "polynomial",
                    "degree": 19,
                    "n_train": 5,
                    "learning_rate": 0.05,
                    "epochs": 3000,
                    "evaluate_every": 20,
                },
                "data_seeds": 10,
                "name": "Five points",
                "tags": {"chapter": "4.4"},
            },
        },
        {
            "summary": "Model selection, 4.4",
            "description": "Every degree with five λ on ten data sets: 1,000 runs that train together as one stack.",
            "value": {
                "spec": {"variant": "polynomial", "n_valid": 100},
                "grid": {"degree": list(range(20)), "lambda": [0, 0.001, 0.01, 0.1, 1]},
                "data_seeds": 10,
                "name": "Model selection",
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
        {
            "summary": "How much weight decay, 4.5",
            "description": "Six λ on ten data sets, each by 5-fold cross-validation: 300 runs.",
            "value": {
                "spec": {"variant": "linear"},
                "grid": {"weight_decay": [0, 0.3, 1, 3, 10, 30]},
                "data_seeds": 10,
                "folds": 5,
                "name": "How much weight decay",
                "tags": {"chapter": "4.5"},
            },
        },
    ],
}

COMPARISONS: Final[dict[str, Any]] = {
    "two-of-a-sweep": {
        "summary": "Two λ of a sweep, 4.5",
        "description": "Does weight decay help? The runs of one experiment, paired by their seeds.",
        "value": {
            "a": {"experiment": "0198a000-0000-7000-8000-000000000001", "where": {"lambda": 0}},
            "b": {"experiment": "0198a000-0000-7000-8000-000000000001", "where": {"lambda": 3}},
        },
    },
    "two-experiments": {
        "summary": "Two experiments at their best epochs, 4.6",
        "description": "Does dropout help? Each experiment has one configuration, and the same seeds.",
        "value": {
            "a": {"experiment": "0198a000-0000-7000-8000-000000000001"},
            "b": {"experiment": "0198a000-0000-7000-8000-000000000002"},
            "metric": "test_accuracy",
            "at": "best",
        },
    },
}
"""Requests for POST /v1/compare, by name."""


def for_openapi() -> dict[str, Any]:
    """The same by name, as OpenAPI lists examples."""
    return {f"{variant}-{number}": one for variant, some in EXPERIMENTS.items() for number, one in enumerate(some, 1)}
