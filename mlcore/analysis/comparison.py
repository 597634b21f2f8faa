"""Two configurations compared replicate by replicate: how much they differ, and what the replicates can show.

Replicates with the same seed and data seed start from the same weights and see the same data, so their differences are
free of what varies from replicate to replicate. Differences are a − b. Torch-free.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from mlcore.analysis.evidence import Outcome
from mlcore.analysis.permutation import SignFlips, sign_flips
from mlcore.analysis.power import pairs_needed
from mlcore.analysis.replicates import data_seed
from mlcore.analysis.statistics import Estimate, estimate
from mlcore.analysis.summary import Result

LARGEST: Final = 1e150
"""Values beyond it have infinite squares."""
ROUNDING: Final = 1e-12
"""Spread of differences, relative to the values, that is none."""


@dataclass(frozen=True)
class Replicate:
    """One repetition of a configuration: the mean over its folds, when all have succeeded."""

    seed: int
    data_seed: int
    data: int | None
    """The data seed where it decides anything; None for all of Fashion-MNIST, which is the same under every one."""
    outcome: Outcome
    """How it ended, or the first of its folds that has not succeeded."""
    value: float
    """NaN unless it has succeeded."""

    @property
    def usable(self) -> bool:
        """Whether there is a value to compare."""
        return abs(self.value) < LARGEST


def replicates(results: Iterable[Result], metric: str) -> list[Replicate]:
    """Sum the runs of a configuration up, in the order of their numbers: the folds of a replicate follow each other."""
    by_seeds = groupby(results, lambda result: (result.spec["seed"], result.spec["data_seed"]))
    return [_replicate(list(folds), metric) for _, folds in by_seeds]


def _replicate(folds: Sequence[Result], metric: str) -> Replicate:
    spec = folds[0].spec
    seeds = spec["seed"], spec["data_seed"], data_seed(spec)
    unusable = [fold for fold in folds if fold.outcome != "succeeded"]
    if unusable:
        return Replicate(*seeds, unusable[0].outcome, math.nan)
    value = sum(fold.metrics.get(metric, math.nan) / len(folds) for fold in folds)
    return Replicate(*seeds, "succeeded", value)


@dataclass(frozen=True)
class Pair:
    """A replicate of each side, with the same seed and data seed."""

    a: Replicate
    b: Replicate


@dataclass(frozen=True)
class Pairs:
    """The pairs that can be compared, and what was left out of them."""

    compared: Sequence[Pair]
    broken: Sequence[Pair]
    """Pairs of which a side has no value: it failed, diverged, has not ended, or is not a finite number."""
    repeated: int
    """Pairs that are the same two trainings as another pair: they differ in a data seed that decides nothing."""
    only_a: int
    """Replicates of a without one of b."""
    only_b: int


def pair(a: Iterable[Replicate], b: Iterable[Replicate]) -> Pairs:
    """Pair the replicates of both sides by (seed, data seed), in the order of a's."""
    of_a = {(one.seed, one.data_seed): one for one in a}
    of_b = {(one.seed, one.data_seed): one for one in b}
    both = [Pair(one, of_b[key]) for key, one in of_a.items() if key in of_b]
    distinct: dict[tuple[Any, ...], Pair] = {}
    for one in both:
        distinct.setdefault((one.a.seed, one.a.data, one.b.data), one)
    compared = [one for one in distinct.values() if one.a.usable and one.b.usable]
    broken = [one for one in distinct.values() if not (one.a.usable and one.b.usable)]
    paired = len(both)
    return Pairs(compared, broken, paired - len(distinct), len(of_a) - paired, len(of_b) - paired)


@dataclass(frozen=True)
class Comparison:
    """What n pairs say about the difference a − b."""

    a: Estimate
    b: Estimate
    difference: Estimate
    """Its interval is that of the paired t test."""
    differing: int
    """Pairs whose values are not the same."""
    effect_size: float | None
    """Cohen's d_z: the mean difference in standard deviations of the differences. None without spread."""
    test: SignFlips | None
    """None without pairs."""
    pairs_needed: int | None
    """Pairs that would show an effect of the size seen; None where there is none, and where it is beyond reach."""

    @property
    def n(self) -> int:
        """How many pairs there are."""
        return self.difference.n


def compare(a: Sequence[float], b: Sequence[float]) -> Comparison:
    """Compare the values of paired replicates, all finite: a[i] and b[i] belong together."""
    differences = [one - other for one, other in zip(a, b, strict=True)]
    difference = estimate(differences)
    effect_size = _effect_size(difference, largest=max(map(abs, [*a, *b]), default=0.0))
    return Comparison(
        estimate(a),
        estimate(b),
        difference,
        sum(one != 0 for one in differences),
        effect_size,
        sign_flips(differences) if differences else None,
        pairs_needed(effect_size) if effect_size else None,
    )


def _effect_size(difference: Estimate, largest: float) -> float | None:
    if difference.mean is None or difference.std is None or difference.std <= ROUNDING * largest:
        return None
    return difference.mean / difference.std
