"""The figures of d2l's multilayer-perceptron chapter, and the questions they raise, as named experiments. Torch-free.

The figures have the settings of the book's PyTorch code (d2l 0.17), its initial weights included; `evaluate_every` is
how often its loops draw a point. Where epochd differs, it does so everywhere: under `init: normal` biases start at 0,
and the first epoch is always evaluated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from mlcore.spec import ExperimentSpec

CURVES: Final = "curves"
SUMMARY: Final = "summary"


@dataclass(frozen=True)
class Preset:
    """An experiment with a name."""

    name: str
    section: str
    """The section of the chapter it belongs to."""
    title: str
    sentence: str
    """What it shows."""
    request: Mapping[str, Any]
    """The experiment as JSON."""
    figure: str = CURVES
    """The picture to look at, as an address below the experiment's own."""

    @cached_property
    def experiment(self) -> ExperimentSpec:
        """The experiment as it is expanded and trained."""
        return ExperimentSpec.model_validate(self.request)


NORMAL: Final = {"scheme": "normal", "std": 0.01}
LINEAR_DEFAULT: Final = {"scheme": "linear_default"}
MLP: Final[dict[str, Any]] = {
    "variant": "mlp",
    "implementation": "scratch",
    "hidden": [256],
    "activation": "relu",
    "init": NORMAL,
    "learning_rate": 0.1,
    "batch_size": 256,
    "epochs": 10,
    "evaluate_every": 1,
}
POLYNOMIAL: Final[dict[str, Any]] = {
    "variant": "polynomial",
    "degree": 3,
    "coefficients": [5.0, 1.2, -3.4, 5.6],
    "noise_std": 0.1,
    "n_train": 100,
    "n_test": 100,
    "init": LINEAR_DEFAULT,
    "loss": "mse",
    "learning_rate": 0.01,
    "batch_size": 10,
    "epochs": 400,
    "evaluate_every": 20,
}
WEIGHT_DECAY: Final[dict[str, Any]] = {
    "variant": "linear",
    "implementation": "scratch",
    "n_inputs": 200,
    "true_weight": 0.01,
    "true_bias": 0.05,
    "noise_std": 0.01,
    "n_train": 20,
    "n_test": 100,
    "init": {"scheme": "normal", "std": 1.0},
    "loss": "half_squared_error",
    "penalty": "l2",
    "learning_rate": 0.003,
    "batch_size": 5,
    "epochs": 100,
    "evaluate_every": 5,
}
FEW_IMAGES: Final[dict[str, Any]] = {  # with steps small enough that the last epoch is no matter of luck
    **MLP,
    "n_train": 10_000,
    "init": LINEAR_DEFAULT,
    "learning_rate": 0.02,
    "batch_size": 64,
}
DROPOUT: Final[dict[str, Any]] = {
    **MLP,
    "hidden": [256, 256],
    "dropout": [0.2, 0.5],
    "init": LINEAR_DEFAULT,  # the book's scratch net is made of torch.nn.Linear and leaves its weights as they start
    "learning_rate": 0.5,
}

_ALL: Final = (
    Preset(
        "mlp-scratch",
        "4.2",
        "Multilayer perceptron from scratch",
        "One hidden layer of 256 units takes Fashion-MNIST to a test accuracy of about 0.85 within ten epochs.",
        {"spec": MLP},
    ),
    Preset(
        "hidden-units",
        "4.2",
        "How many hidden units",
        "Four units are too few to tell ten classes apart; beyond some dozens more of them help less and less.",
        {
            "spec": {**FEW_IMAGES, "epochs": 20, "evaluate_every": 20},
            "grid": {"hidden": [[4], [16], [64], [256]]},
            "seeds": 5,
        },
        "summary?metric=test_accuracy",
    ),
    Preset(
        "activations",
        "4.2",
        "Activation functions compared",
        "The same network learns fastest with ReLU and slowest with the sigmoid, whose gradient is at most a quarter.",
        {"spec": MLP, "grid": {"activation": ["relu", "tanh", "sigmoid", "identity"]}},
    ),
    Preset(
        "depth-without-activation",
        "4.2",
        "Without activation, depth buys nothing",
        "Affine maps of affine maps are affine: hidden layers without activation end where softmax regression does.",
        {
            "spec": {**MLP, "init": LINEAR_DEFAULT},
            "grid": {"activation": ["relu", "identity"], "hidden": [[], [256], [256, 256]]},
        },
        "summary?metric=test_accuracy",
    ),
    Preset(
        "mlp-concise",
        "4.3",
        "Multilayer perceptron, concise",
        "The same with torch.nn and torch.optim only: the curves are those of the version from scratch.",
        {"spec": {**MLP, "implementation": "concise"}},
    ),
    Preset(
        "polynomial-normal",
        "4.4",
        "A polynomial that fits",
        "Four features for data of degree 3: training and test loss fall to the noise together.",
        {"spec": POLYNOMIAL},
    ),
    Preset(
        "polynomial-underfit",
        "4.4",
        "Underfitting",
        "A straight line cannot follow a cubic: both losses stop falling early and stay high.",
        {"spec": {**POLYNOMIAL, "degree": 1}},
    ),
    Preset(
        "polynomial-overfit",
        "4.4",
        "All twenty features",
        "With every feature up to degree 19 the fit takes longer, and the test loss ends above the training loss.",
        {"spec": {**POLYNOMIAL, "degree": 19, "epochs": 1500}},
    ),
    Preset(
        "overfitting-few-points",
        "4.4",
        "Overfitting",
        "Five points are learned by heart: the training loss falls below the noise, and the test loss stays.",
        {
            "spec": {**POLYNOMIAL, "degree": 19, "n_train": 5, "learning_rate": 0.05, "epochs": 3000},
            "data_seeds": 10,
        },
    ),
    Preset(
        "loss-by-degree",
        "4.4",
        "Loss against degree",
        "Below degree 3 both losses are high; above it the training loss stays low and the test loss rises again.",
        {
            "spec": {**POLYNOMIAL, "epochs": 1500, "evaluate_every": 100},
            "grid": {"degree": list(range(20))},
            "data_seeds": 20,
        },
        SUMMARY,
    ),
    Preset(
        "training-set-size",
        "4.4",
        "Error against training-set size",
        "More examples close the gap between training and test loss, from the same twenty features.",
        {
            "spec": {**POLYNOMIAL, "degree": 19, "evaluate_every": 100},
            "grid": {"n_train": [10, 20, 50, 100, 200, 500, 1000]},
            "data_seeds": 10,
        },
        SUMMARY,
    ),
    Preset(
        "generalisation-error",
        "4.4",
        "Generalisation error on a million fresh points",
        "The loss on few test points is a guess; on a million it is the generalisation error to two digits.",
        {
            "spec": {**POLYNOMIAL, "evaluate_every": 400},
            "grid": {"n_test": [10, 100, 1000, 10_000, 100_000, 1_000_000]},
            "data_seeds": 5,
        },
        SUMMARY,
    ),
    Preset(
        "model-selection",
        "4.4",
        "Model selection",
        "Every degree with five λ on ten data sets, 1,000 runs in one stack; the validation set chooses.",
        {
            "spec": {**POLYNOMIAL, "n_valid": 100},
            "grid": {"degree": list(range(20)), "weight_decay": [0, 0.001, 0.01, 0.1, 1]},
            "data_seeds": 10,
        },
        "summary?metric=valid_loss",
    ),
    Preset(
        "weight-decay-scratch",
        "4.5",
        "Weight decay from scratch",
        "With λ = 0 the training loss vanishes and the test loss does not; with λ = 3 both fall.",
        {"spec": WEIGHT_DECAY, "grid": {"weight_decay": [0, 3]}},
    ),
    Preset(
        "weight-decay-concise",
        "4.5",
        "Weight decay, concise",
        "The same by the optimiser's own weight_decay; its loss is (ŷ−y)², without the half.",
        {
            "spec": {**WEIGHT_DECAY, "implementation": "concise", "loss": "mse"},
            "grid": {"weight_decay": [0, 3]},
        },
    ),
    Preset(
        "test-error-by-lambda",
        "4.5",
        "Test error against λ",
        "Twenty examples say little of 200 weights: the more λ the better, until weights at zero would do as well.",
        {
            "spec": WEIGHT_DECAY,
            "grid": {"weight_decay": [0, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]},
            "data_seeds": 20,
        },
        SUMMARY,
    ),
    Preset(
        "cross-validation",
        "4.5",
        "λ by cross-validation",
        "Where examples are too few for a validation set, five folds choose λ: each is held out once.",
        {
            "spec": WEIGHT_DECAY,
            "grid": {"weight_decay": [0, 0.3, 1, 3, 10, 30]},
            "data_seeds": 10,
            "folds": 5,
        },
        "summary?metric=valid_loss",
    ),
    Preset(
        "dropout-scratch",
        "4.6",
        "Dropout from scratch",
        "A fifth of the first and half of the second hidden layer are dropped while training, none when evaluating.",
        {"spec": DROPOUT},
    ),
    Preset(
        "dropout-concise",
        "4.6",
        "Dropout, concise",
        "The same with torch.nn.Dropout, from weights of N(0, 0.01²).",
        {"spec": {**DROPOUT, "implementation": "concise", "init": NORMAL}},
    ),
    Preset(
        "dropout-swapped",
        "4.6",
        "Dropout probabilities swapped",
        "The same two probabilities in either order, beside none: the order changes the training loss little.",
        {"spec": DROPOUT, "grid": {"dropout": [[0.0, 0.0], [0.2, 0.5], [0.5, 0.2]]}},
    ),
    Preset(
        "dropout-and-weight-decay",
        "4.6",
        "Dropout with weight decay",
        "On 2,000 images each of the two helps; together they add little.",
        {
            "spec": {**DROPOUT, "n_train": 2000, "n_test": 2000, "learning_rate": 0.1, "batch_size": 64, "epochs": 40},
            "grid": {"dropout": [[0.0, 0.0], [0.2, 0.5], [0.5, 0.5]], "weight_decay": [0, 0.001, 0.01]},
        },
        "summary?metric=test_loss",
    ),
)

PRESETS: Final[dict[str, Preset]] = {preset.name: preset for preset in _ALL}
"""By name, in the order of the chapter."""
