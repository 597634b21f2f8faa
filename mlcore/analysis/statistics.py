"""Mean, spread and confidence over replicates. Torch-free.

A replicate is one (seed, data seed); its folds are averaged before anything else, since they share training examples
and are no independent repetitions (Bengio and Grandvalet 2004).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over n replicates, their standard deviation, and the 95 % confidence interval of the mean.

    `std`, `low` and `high` are None for a single replicate, which says nothing about spread. Values that are not finite
    are left out and counted in `left_out`.
    """

    n: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    left_out: int = 0

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean."""
        return None if self.std is None else self.std / math.sqrt(self.n)


def estimate(values: Sequence[float]) -> Estimate:
    """Estimate the mean of replicates with Student's t interval."""
    finite = np.asarray([value for value in values if math.isfinite(value)])
    left_out = len(values) - len(finite)
    if not len(finite):
        return Estimate(0, None, None, None, None, left_out)
    mean = float(finite.mean())
    if len(finite) == 1:
        return Estimate(1, mean, None, None, None, left_out)
    std = float(finite.std(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(finite) - 1)) * std / math.sqrt(len(finite))
    return Estimate(len(finite), mean, std, mean - half, mean + half, left_out)
