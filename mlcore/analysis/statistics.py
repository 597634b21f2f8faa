"""Mean, spread and confidence over replicates. Torch-free.

A replicate is one (seed, data seed); its folds are averaged before anything else, since they share training examples
and are no independent repetitions (Bengio and Grandvalet 2004).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

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
        """Standard error of the mean; None where there is no spread to tell it from."""
        return None if self.std is None else self.std / math.sqrt(self.n)


def estimate(values: Iterable[float]) -> Estimate:
    """Estimate the mean of replicates with Student's t interval (n - 1 degrees of freedom)."""
    given = list(values)
    # Not numpy: a summary makes many estimates of a few values each, where every call would cost more than the sum.
    finite = [value for value in given if math.isfinite(value)]
    n, left_out = len(finite), len(given) - len(finite)
    if n == 0:
        return Estimate(0, None, None, None, None, left_out)
    mean = sum(value / n for value in finite)  # divided first: the sum of large values may not fit
    if n == 1:
        return Estimate(1, mean, None, None, None, left_out)
    mean += sum(value - mean for value in finite) / n  # what rounding lost
    std = math.sqrt(sum((value - mean) * (value - mean) for value in finite) / (n - 1))
    half = _t_quantile(n - 1) * std / math.sqrt(n)
    return Estimate(n, mean, std, mean - half, mean + half, left_out)


@cache
def _t_quantile(degrees: int) -> float:
    """Return the upper quantile of Student's t that leaves out half of what CONFIDENCE leaves out."""
    from scipy.special import stdtrit  # not scipy.stats, which costs 45 MB; and not before somebody asks

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))
