"""A statement checked on many trainings: what is measured of each replicate, and whether that bears it out. Torch-free.

Who has the results calls `judge`; where they come from is no matter here.
"""

import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mlcore.analysis.comparison import Replicate, pair, replicates
from mlcore.analysis.statistics import estimate
from mlcore.analysis.summary import Result

Results = Mapping[str, Sequence[Result]]
"""The runs of each training by its name, in the order of their numbers."""
Sides = tuple[Replicate, ...]

FEWEST: Final = 5
"""Replicates below which nothing is said."""
SHARE: Final = 0.75
"""Part of the replicates in which a claim has to hold."""
LARGEST_LOGARITHM: Final = math.log(sys.float_info.max)
ENDED: Final = ("succeeded", "diverged")
"""How a run ends that says something about what it trained; the others say something about the service."""


@dataclass(frozen=True)
class Quantity:
    """A metric of one configuration of a training; of a run its last value, or one that is derived from it.

    Derived are `loss_gap`, test minus training loss, and from the learned weights `weight_error`, the largest distance
    of a weight from the true one, and `near_zero`, how many weights are as good as zero.
    """

    training: str
    metric: str
    where: Mapping[str, Any] = field(default_factory=dict)
    """Values of the spec's fields that tell the configuration from the others."""

    @property
    def is_derived(self) -> bool:
        """Whether the service has no such metric."""
        return self.metric in {"loss_gap", *FROM_WEIGHTS}

    def fits(self, spec: Mapping[str, Any]) -> bool:
        """Whether a run with this resolved spec belongs to the configuration."""
        return all(spec[name] == value for name, value in self.where.items())

    def of(self, results: Results) -> list[Replicate]:
        """Return the value of each replicate, the mean over its folds."""
        return replicates((run for run in results[self.training] if self.fits(run.spec)), self.metric)


FROM_WEIGHTS: Final = frozenset({"weight_error", "near_zero"})


def derived(metrics: Mapping[str, float], weights: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Return metrics with those that follow from them and, where they are given, from learned weights.

    `weights` is the document of GET /v1/runs/{id}/weights.
    """
    found = {**metrics, "loss_gap": metrics.get("test_loss", math.nan) - metrics.get("train_loss", math.nan)}
    if weights is not None:
        both = zip(weights["weights"], weights["true_weights"], strict=True)
        found["weight_error"] = max(math.nan if one is None else abs(one - true) for one, true in both)
        found["near_zero"] = weights["near_zero"]["count"]
    return found


@dataclass(frozen=True)
class Measure:
    """A number for each replicate: a, a − b or a / b, where a and b have the same seed and data seed.

    A replicate bears the claim out when its number is between `low` and `high`.
    """

    words: str
    """What the number is."""
    a: Quantity
    b: Quantity | None = None
    kind: Literal["value", "difference", "ratio"] = "value"
    low: float = -math.inf
    high: float = math.inf
    geometric: bool = False
    """Whether the mean is that of the logarithms: of numbers that span decades, and of all ratios."""

    @property
    def is_geometric(self) -> bool:
        """Whether means are geometric."""
        return self.geometric or self.kind == "ratio"

    @property
    def quantities(self) -> list[Quantity]:
        """What it is made of."""
        return [self.a] if self.b is None else [self.a, self.b]

    def sides(self, results: Results) -> list[Sides]:
        """Return the replicates of a, or the pairs of a and b."""
        if self.b is None:
            return [(one,) for one in self.a.of(results)]
        pairs = pair(self.a.of(results), self.b.of(results))
        return [(one.a, one.b) for one in (*pairs.compared, *pairs.broken)]

    def number(self, sides: Sides) -> float:
        """Return the number of a replicate; NaN where there is none, as after divergence."""
        values = [one.value for one in sides]
        if self.kind == "ratio":
            return values[0] / values[1] if values[1] else math.nan
        number = values[0] if self.kind == "value" else values[0] - values[1]
        return math.nan if self.is_geometric and number <= 0 else number


@dataclass(frozen=True)
class Claim:
    """A statement of the chapter, and how it is checked."""

    name: str
    section: str
    title: str
    sentence: str
    measure: Measure
    why: str = ""
    """Why it does not hold, or not in all replicates; where that was found out."""
    control: Measure | None = None
    """The same number where the claim is not made, to compare with."""


@dataclass(frozen=True)
class Effect:
    """The mean over replicates with its 95 % confidence interval, and the median."""

    mean: float
    low: float | None
    high: float | None
    median: float

    def lies_between(self, low: float, high: float) -> bool:
        """Whether the whole interval does."""
        return self.low is not None and self.high is not None and low < self.low and self.high < high


@dataclass(frozen=True)
class Judgement:
    """What the replicates say about a claim."""

    holds: bool | None
    """None: they do not tell."""
    reason: str
    replicates: int
    """Those that have ended, well or by diverging."""
    diverged: int
    """Those without a finite number; they count against the claim."""
    left_out: int
    """Those that failed for another reason, were cancelled or have not ended."""
    fraction: float | None
    """In which part of the replicates the claim holds."""
    effect: Effect | None
    values: Sequence[float]
    """The finite numbers."""


def judge(measure: Measure, results: Results) -> Judgement:
    """Judge a measure: whether the claim holds in most replicates, and on average beyond doubt.

    It does not hold when fewer than SHARE of the replicates bear it out. It holds when they do and the whole confidence
    interval of the mean lies within the bounds. Below FEWEST replicates, and in between, nothing is said.
    """
    sides = measure.sides(results)
    ended = [one for one in sides if all(side.outcome in ENDED for side in one)]
    numbers = [measure.number(one) for one in ended]
    values = [number for number in numbers if math.isfinite(number)]
    borne_out = sum(measure.low < value < measure.high for value in values)
    fraction = borne_out / len(numbers) if numbers else None
    effect = effect_of(values, geometric=measure.is_geometric)
    holds = _holds(measure, len(numbers), fraction, effect)
    reason = _reason(len(numbers), borne_out, holds=holds)
    lost = len(sides) - len(ended)
    return Judgement(holds, reason, len(numbers), len(numbers) - len(values), lost, fraction, effect, values)


def effect_of(values: Iterable[float], *, geometric: bool) -> Effect | None:
    """Return the mean of finite values, with Student's t interval; the geometric one of positive values."""
    given = list(values)
    if not given:
        return None
    found = estimate(map(math.log, given) if geometric else given)
    mean, low, high = (_exp(one) if geometric else one for one in (found.mean, found.low, found.high))
    return Effect(mean or 0.0, low, high, statistics.median(given))


def _exp(logarithm: float | None) -> float | None:
    """Return e to the power; the largest number there is where it would be beyond."""
    return None if logarithm is None else math.exp(min(logarithm, LARGEST_LOGARITHM))


def _holds(measure: Measure, n: int, fraction: float | None, effect: Effect | None) -> bool | None:
    if n < FEWEST or fraction is None:
        return None
    if fraction < SHARE:
        return False
    return True if effect is not None and effect.lies_between(measure.low, measure.high) else None


def _reason(n: int, borne_out: int, *, holds: bool | None) -> str:
    if n < FEWEST:
        return f"There are {n} replicates to judge by, and {FEWEST} are the fewest."
    seen = f"It is so in {borne_out} of {n} replicates"
    if holds is None:
        return f"{seen}, but the confidence interval of the mean reaches beyond what is claimed."
    wanted = "and on average, with the whole confidence interval" if holds else f"fewer than {SHARE:.0%}"
    return f"{seen}, {wanted}."
