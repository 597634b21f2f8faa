"""What the end-to-end tests train."""

from typing import Any, Final

Json = dict[str, Any]

# Long enough to be caught at work, short enough to be done again: a few seconds each.
POLYNOMIAL: Final[Json] = {"variant": "polynomial", "n_train": 5000, "epochs": 4000}
MLP: Final[Json] = {
    "variant": "mlp",
    "hidden": [32],
    "dropout": [0.5],
    "n_train": 1000,
    "n_test": 500,
    "batch_size": 50,
    "epochs": 300,
}
ENDLESS: Final[Json] = {**POLYNOMIAL, "epochs": 100_000}
QUICK: Final[Json] = {"variant": "linear", "epochs": 20}
LONG_EPOCHS: Final[Json] = {  # whole seconds each
    "variant": "mlp",
    "hidden": [2048],
    "n_train": 1000,
    "n_test": 500,
    "batch_size": 1,
    "epochs": 100,
}
