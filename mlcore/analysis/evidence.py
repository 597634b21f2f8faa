"""The numbers that tell how a training went: its losses, what is known of them beforehand, and whether they still fall.

Torch-free, and from what is stored anyway: a run's spec, its summary metrics and the end of its curve.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mlcore.initialization import CLASSES
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, RunSpec

Metrics = Mapping[str, Mapping[str, Any]]
Series = Mapping[str, npt.NDArray[np.float64]]
HeldOut = Literal["valid", "test"]
Outcome = Literal["queued", "running", "succeeded", "failed", "diverged", "cancelled"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("queued", "running", "succeeded", "failed", "diverged", "cancelled")

TAIL: Final = 0.1  # the part of the epochs that tells whether a loss still falls
FEWEST_POINTS: Final = 3  # evaluated epochs of a tail, where the curve has them
LONGER: Final = 4  # times the epochs: what is asked of a loss that still falls
STEEPEST: Final = 10.0  # of a slope in logarithms; 4¹⁰ times the loss says enough
VARIATION: Final = 2.0  # standard deviation of the cross-entropy of one image, in means of it
TOLERANCE: Final = 1e-5  # of the baseline: what is closer than this to the noise is as good as at it


@dataclass(frozen=True)
class Evidence:
    """What is known of a run, or of the mean of several; None where it was not measured or is not finite."""

    outcome: Outcome
    """How the run stands."""
    held_out: HeldOut
    """Which part was held out: valid where there is one."""
    n_train: int
    n_held_out: int
    baseline: float
    """Loss of the best constant answer: the variance of the labels, or ln 10 for ten classes, all equally common."""
    noise_floor: float | None
    """Loss of the function that made the labels: the noise's alone. None for images, of which nobody knows it."""
    train_loss: float | None
    """After the last epoch, dropout off, as the held-out loss is."""
    held_out_loss: float | None
    lowest_train_loss: float | None
    """Over the epochs; of images the average while they train, which is measured every time."""
    best_epoch: int | None
    """When the held-out loss was lowest."""
    best_held_out_loss: float | None
    train_fall: float | None
    """The part of the training loss that four times the epochs would take off, at the slope of its end."""
    held_out_fall: float | None

    @property
    def least(self) -> float:
        """The smallest loss that means anything: the noise's and a hundred-thousandth of the baseline; 0 for images."""
        return 0.0 if self.noise_floor is None else self.noise_floor + TOLERANCE * self.baseline

    @property
    def expected(self) -> float | None:
        """What the held-out loss is when nothing is lost on new examples: the training loss, or `least` if greater."""
        return None if self.train_loss is None else max(self.train_loss, self.least)

    @property
    def gap(self) -> float | None:
        """How far the held-out loss lies above `expected`."""
        return None if self.held_out_loss is None or self.expected is None else self.held_out_loss - self.expected

    @property
    def relative_error(self) -> float:
        """Standard error of the held-out loss around `expected`, as part of it.

        Squares of Gaussian errors have a standard deviation of √2 times their mean. Cross-entropies of images had one
        of 0.05 to 2.2 times theirs, from the first epochs to the hundredth: 2 is taken, nearly the greatest. Residuals
        of a model that misses the true function have heavier tails than that, so it is too small for those.
        """
        deviation = VARIATION if self.noise_floor is None else math.sqrt(2)
        return deviation / math.sqrt(self.n_held_out)

    @property
    def standard_error(self) -> float | None:
        """Standard error of the held-out loss, were it `expected`."""
        return None if self.expected is None else self.relative_error * self.expected

    @property
    def gap_in_errors(self) -> float | None:
        """The gap in standard errors of the held-out loss."""
        return self.gap / self.standard_error if self.gap is not None and self.standard_error else None


def evidence(
    spec: RunSpec, outcome: Outcome, metrics: Metrics, epochs: npt.NDArray[np.int64], series: Series
) -> Evidence:
    """Gather what is known of a run.

    `metrics` is its summary, {name: {last, min, min_epoch, max}}; `epochs` (n,) and `series` of n values each are its
    curve, of which the part after `tail_start(spec)` suffices.
    """
    sizes = spec.sizes
    held_out: HeldOut = "valid" if sizes.valid else "test"
    trained = "running_loss" if isinstance(spec, MlpSpec) else "train_loss"
    tested = metrics.get(f"{held_out}_loss", {})
    return Evidence(
        outcome=outcome,
        held_out=held_out,
        n_train=sizes.train,
        n_held_out=sizes.valid or sizes.test,
        baseline=baseline(spec),
        noise_floor=noise_floor(spec),
        train_loss=_finite(metrics.get("train_loss", {}).get("last")),
        held_out_loss=_finite(tested.get("last")),
        lowest_train_loss=_finite(metrics.get(trained, {}).get("min")),
        best_epoch=tested.get("min_epoch"),
        best_held_out_loss=_finite(tested.get("min")),
        train_fall=fall_if_longer(epochs, series.get(trained), spec.epochs),
        held_out_fall=fall_if_longer(epochs, series.get(f"{held_out}_loss"), spec.epochs),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def mean(several: Sequence[Evidence], *, folds: bool = False) -> Evidence:
    """Average the evidence of several runs of one configuration; with `folds` they hold out different examples.

    A number that one of them lacks is None; epochs are rounded. Of outcomes the worst for the whole is its own.
    """
    first = several[0]
    if len(several) == 1:
        return first
    averaged = {name: _mean([getattr(one, name) for one in several]) for name in _AVERAGED}
    best = _mean([one.best_epoch for one in several])
    return Evidence(
        outcome=min((one.outcome for one in several), key=_WORST_FIRST.index),
        held_out=first.held_out,
        n_train=first.n_train,
        n_held_out=sum(one.n_held_out for one in several) if folds else first.n_held_out,
        baseline=first.baseline,
        noise_floor=first.noise_floor,
        best_epoch=None if best is None else round(best),
        **averaged,
    )


_WORST_FIRST: Final[tuple[Outcome, ...]] = ("diverged", "failed", "cancelled", "running", "queued", "succeeded")
_AVERAGED: Final = (
    "train_loss",
    "held_out_loss",
    "lowest_train_loss",
    "best_held_out_loss",
    "train_fall",
    "held_out_fall",
)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(value / len(known) for value in known) if len(known) == len(values) else None


def tail_start(spec: RunSpec) -> int:
    """Return the epoch after which the curve's end begins: a tenth of the epochs, or three evaluated ones if more."""
    evaluated = (FEWEST_POINTS - 1) * spec.evaluate_every
    return max(0, min(math.ceil((1 - TAIL) * spec.epochs), spec.epochs - evaluated) - 1)


def fall_if_longer(epochs: npt.NDArray[np.int64], values: npt.NDArray[np.float64] | None, last: int) -> float | None:
    """Return the part of a loss that LONGER times the epochs would take off, if it went on as it falls at the end.

    Learning curves are near straight in logarithms of loss and epoch; so a straight line is fitted (least squares) to
    the last tenth of the epochs up to `last`, at least three evaluated ones where there are, and drawn on. Negative for
    a loss that grows, None with fewer than two positive values.
    """
    if values is None:
        return None
    known = np.isfinite(values) & (values > 0)
    epochs, values = epochs[known], values[known]
    points = max(FEWEST_POINTS, int((epochs >= (1 - TAIL) * last).sum()))
    if len(epochs) < 2:
        return None
    x, y = np.log(epochs[-points:]), np.log(values[-points:])
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    return float(1 - LONGER ** min(max(slope, -STEEPEST), STEEPEST))


def noise_floor(spec: RunSpec) -> float | None:
    """Return the loss of the function that made the labels; None for images."""
    return None if isinstance(spec, MlpSpec) else spec.noise_std**2 * _scale(spec)


def baseline(spec: RunSpec) -> float:
    """Return the loss of the best constant: the labels' variance with inputs from N(0, 1), or ln 10 for classes."""
    match spec:
        case MlpSpec():
            return math.log(CLASSES)
        case PolynomialSpec():
            return (_polynomial_variance(tuple(spec.coefficients)) + spec.noise_std**2) * _scale(spec)
        case LinearSpec():
            return (spec.n_inputs * spec.true_weight**2 + spec.noise_std**2) * _scale(spec)


def _scale(spec: PolynomialSpec | LinearSpec) -> float:
    return 0.5 if spec.loss == "half_squared_error" else 1.0


@cache
def _polynomial_variance(coefficients: tuple[float, ...]) -> float:
    """Return the variance of Σ wᵢ xⁱ/i! with x ~ N(0, 1), by the moments E[xᵏ] = (k − 1)!! for even k, else 0."""
    scaled = [coefficient / math.factorial(power) for power, coefficient in enumerate(coefficients)]
    moments = [math.prod(range(1, power, 2)) * (power % 2 == 0) for power in range(2 * len(scaled))]
    squared = sum(a * b * moments[i + j] for i, a in enumerate(scaled) for j, b in enumerate(scaled))
    mean = sum(a * moments[i] for i, a in enumerate(scaled))
    return max(squared - mean**2, 0.0)
