"""The claims of d2l's multilayer-perceptron chapter, in our own words, and the numbers that judge them. Torch-free."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal

from mlcore.analysis.claims import Claim, Measure, Quantity

OVERFITTED: Final = 1.25
"""Test loss in training losses from which on it is overfitting, to the diagnosis too."""
POINT: Final = 0.01
"""Of accuracy, as much as one notices."""
ROUNDING: Final = 1e-9
"""How far two orders of the same sums may lead apart in float64."""
NEAR: Final = 0.1
"""Of a learned weight to the true one: the noise of a label."""

DEGREE_3: Final = {"degree": 3}
LAMBDA_0: Final = {"weight_decay": 0}
LAMBDA_3: Final = {"weight_decay": 3}
TWO_LAYERS: Final = [64, 64]


def _depth(activation: str, high: float) -> Measure:
    deep, flat = ({"activation": activation, "hidden": hidden} for hidden in (TWO_LAYERS, []))
    a, b = (Quantity("depth", "test_accuracy", one) for one in (deep, flat))
    return Measure("test accuracy with two hidden layers − with none", a, b, "difference", high=high)


def _implementations(training: str, within: float) -> Measure:
    a, b = (Quantity(training, "test_loss", {"implementation": one}) for one in ("scratch", "concise"))
    return Measure("test loss from scratch − concise", a, b, "difference", -within, within)


def _recovery(training: str) -> Measure:
    error = Quantity(training, "weight_error", DEGREE_3)
    return Measure("largest distance of a learned weight from the true one", error, high=NEAR, geometric=True)


def _generalisation(training: str, low: float, degree: int) -> Measure:
    a, b = (Quantity(training, f"{part}_loss", {"degree": degree}) for part in ("test", "train"))
    return Measure("test loss ÷ training loss", a, b, "ratio", low=low)


def _cross_validation(
    epochs: int, metric: str = "valid_loss", words: str = "mean loss of the held-out folds"
) -> Measure:
    a, b = (Quantity(name, each, {"epochs": epochs}) for name, each in (("folds", metric), ("whole", "test_loss")))
    return Measure(f"{words} ÷ test loss after training on all", a, b, "ratio", 1 / OVERFITTED, OVERFITTED)


def _gap(dropout: list[float]) -> Quantity:
    return Quantity("dropout", "loss_gap", {"dropout": dropout})


def _of_images() -> Iterator[Claim]:
    yield Claim(
        "linear-depth",
        "4.1",
        "Without a non-linearity depth buys nothing",
        "Affine maps of affine maps are affine: hidden layers without an activation function classify no better than "
        "softmax regression, which has none. With ReLU between them the same layers do.",
        _depth("identity", high=POINT),
        control=replace(_depth("relu", high=POINT), words="the same with ReLU"),
    )
    yield Claim(
        "mlp-learns",
        "4.2",
        "The MLP learns",
        "One hidden layer of 256 units, trained for ten epochs on all 60,000 images, names more than four in five "
        "unseen images correctly, where guessing names one in ten.",
        Measure("test accuracy", Quantity("mlp", "test_accuracy"), low=0.8),
    )
    yield Claim(
        "scratch-is-concise",
        "4.3",
        "From scratch equals concise: the MLP",
        "Formulas written out and the layers of torch.nn are the same network: from the same weights and batches they "
        "reach the same test loss, to a thousandth.",
        _implementations("implementations", within=1e-3),
    )


def _of_recovery() -> Iterator[Claim]:
    yield Claim(
        "degree-3-recovers",
        "4.4",
        "Degree 3 recovers the true weights",
        f"A polynomial of the true degree finds the weights that made its data, each to {NEAR:g}, after 1,500 epochs.",
        _recovery("polynomials"),
    )
    yield Claim(
        "degree-3-recovers-early",
        "4.4",
        "Degree 3 recovers the true weights in 400 epochs",
        f"The 400 epochs of the section's figure are enough to find each of the true weights to {NEAR:g}.",
        _recovery("polynomials-400"),
        why="Where it is not so, training has not converged: features x²/2! and x³/3! of points from N(0, 1) vary "
        "little in some data sets, and gradient descent is slow along them. With 1,500 epochs it gets there.",
    )


def _of_fitting() -> Iterator[Claim]:
    yield Claim(
        "degree-1-underfits",
        "4.4",
        "Degree 1 underfits",
        "A straight line cannot follow a cubic: its training loss stays more than ten times that of degree 3 on the "
        "same points.",
        Measure(
            "training loss of degree 1 ÷ of degree 3",
            Quantity("polynomials-400", "train_loss", {"degree": 1}),
            Quantity("polynomials-400", "train_loss", DEGREE_3),
            "ratio",
            low=10,
        ),
    )
    yield Claim(
        "degree-19-overfits",
        "4.4",
        "Degree 19 overfits, mildly",
        "With twenty features for 100 points the test loss ends above the training loss.",
        _generalisation("polynomials", 1.0, degree=19),
        control=replace(_generalisation("polynomials", 1.0, degree=3), words="the same of degree 3"),
    )
    yield Claim(
        "degree-19-overfits-clearly",
        "4.4",
        "Degree 19 overfits, clearly",
        "With twenty features for 100 points the test loss ends above the training loss by more than a quarter.",
        _generalisation("polynomials", OVERFITTED, degree=19),
        control=replace(_generalisation("polynomials", OVERFITTED, degree=3), words="the same of degree 3"),
        why="It hangs on the test points. On half of the data sets one of them lies beyond all training points, and "
        "there the high powers, whose weights training hardly moves from their random start, err so much as to make "
        "up the mean. On the other half there is less to see: twenty features are few for 100 points.",
    )
    yield Claim(
        "five-points-overfit",
        "4.4",
        "Degree 19 overfits five points",
        "With five points to learn, twenty features learn them by heart: the test loss exceeds the training loss by "
        "more than a quarter.",
        _generalisation("five-points", OVERFITTED, degree=19),
    )


def _of_folds() -> Iterator[Claim]:
    yield Claim(
        "k-fold",
        "4.4",
        "K-fold cross-validation estimates the test error",
        "The mean loss on five held-out folds of 100 points is within a quarter of the loss on 10,000 new points of "
        "the model trained on all of them (degree 3, 1,500 epochs).",
        _cross_validation(1500),
    )
    yield Claim(
        "k-fold-early",
        "4.4",
        "K-fold cross-validation estimates the test error of 400 epochs",
        "The same with the 400 epochs of the section's figure.",
        _cross_validation(400),
        why="After 400 epochs training has not converged, and a fold's model is further from the end than the model "
        "it stands for: with 80 of 100 points it takes 8 steps an epoch instead of 10. So it is worse itself, on the "
        "same 10,000 test points too (to compare). The folds estimate a shorter training; with 1,500 epochs it is "
        "of no matter.",
        control=_cross_validation(400, "test_loss", "mean test loss of the folds' models"),
    )


def _of_weight_decay() -> Iterator[Claim]:
    yield from _decay("weight-decay", "from scratch")
    yield from _decay("weight-decay-concise", "concise")
    yield Claim(
        "scratch-is-concise-with-decay",
        "4.5",
        "From scratch equals concise: weight decay",
        "A penalty in the loss and weight_decay of the optimiser are one thing: with λ = 3 and the same loss both end "
        f"with the same test loss, to {ROUNDING:g}.",
        _implementations("regressions", within=ROUNDING),
    )
    yield Claim(
        "l1-is-sparse",
        "4.5",
        "L1 is sparser than L2",
        "Of the twenty weights of degree 19, an L1 penalty leaves more near zero than an L2 penalty with the same λ, "
        "0.01.",
        Measure(
            "weights near zero with L1 − with L2",
            Quantity("penalties", "near_zero", {"penalty": "l1"}),
            Quantity("penalties", "near_zero", {"penalty": "l2"}),
            "difference",
            low=0,
        ),
    )


def _decay(training: str, implementation: Literal["from scratch", "concise"]) -> Iterator[Claim]:
    """Yield what λ = 3 does to the 200 weights of 20 examples."""
    for metric, words, does, sentence in (
        ("train_loss", "training loss", "raises the training loss", "fits its twenty examples worse than without"),
        ("test_loss", "test loss", "lowers the test loss", "errs less on new examples than without"),
        ("weight_l2_norm", "‖w‖₂", "shrinks the weights", "ends with smaller weights, in their Euclidean norm"),
    ):
        a, b = Quantity(training, metric, LAMBDA_3), Quantity(training, metric, LAMBDA_0)
        rises = metric == "train_loss"
        yield Claim(
            f"{training}-{metric.replace('_', '-')}",
            "4.5",
            f"λ = 3 {does}, {implementation}",
            f"With weight decay of λ = 3 a regression on 200 inputs, {implementation}, {sentence}.",
            Measure(
                f"{words} with λ = 3 ÷ with λ = 0",
                a,
                b,
                "ratio",
                low=1.0 if rises else -math.inf,
                high=math.inf if rises else 1.0,
            ),
        )


def _of_dropout() -> Iterator[Claim]:
    yield Claim(
        "dropout-keeps-the-mean",
        "4.6",
        "Dropout keeps the expectation: E[h′] = h",
        "What dropout lets through it scales up by 1/(1 − p): the mean of a tensor of 10,000 units stays within 5 % "
        "under every mask and, over masks, where it was (p = 0.5).",
        Measure(
            "mean after dropout ÷ before",
            Quantity("masks", "mean_after"),
            Quantity("masks", "mean_before"),
            "ratio",
            0.95,
            1.05,
        ),
    )
    yield Claim(
        "dropout-narrows-the-gap",
        "4.6",
        "Dropout narrows the gap between training and test",
        "An MLP with two hidden layers that learns 5,000 images keeps a smaller distance between test and training "
        "loss with dropout of 0.2 and 0.5 than without.",
        Measure("(test − training loss) with dropout ÷ without", _gap([0.2, 0.5]), _gap([0.0, 0.0]), "ratio", high=1),
    )


CLAIMS: Final[dict[str, Claim]] = {
    claim.name: claim
    for claims in (_of_images(), _of_recovery(), _of_fitting(), _of_folds(), _of_weight_decay(), _of_dropout())
    for claim in claims
}
"""By name, in the order of the chapter."""
