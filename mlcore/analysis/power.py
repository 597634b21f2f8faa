"""How many pairs it takes to show an effect. Torch-free."""

import math
from bisect import bisect_left
from typing import Final

from mlcore.analysis.statistics import CONFIDENCE

LEVEL: Final = round(1 - CONFIDENCE, 10)
POWER: Final = 0.8
MOST_PAIRS: Final = 1_000_000
"""More than anybody will train."""
CERTAIN: Final = 30.0
"""Noncentrality beyond which the power is 1, and scipy's distribution function inexact."""


def pairs_needed(effect_size: float) -> int | None:
    """Return the number of pairs with which a true effect of this size (d_z) is shown with a power of POWER.

    By the noncentral t of the two-sided paired t test at LEVEL (Cohen 1988, 2.5); at least as many as the permutation
    test needs to reach LEVEL. None beyond MOST_PAIRS.
    """
    low = high = fewest_pairs()
    while power(effect_size, high) < POWER:
        if high == MOST_PAIRS:
            return None
        high = min(2 * high, MOST_PAIRS)
    return bisect_left(range(high), POWER, lo=low, key=lambda n: power(effect_size, n))


def fewest_pairs() -> int:
    """Return the number of pairs with which the permutation test can reach LEVEL at all: 6 for 0.05."""
    return 1 + math.ceil(math.log2(1 / LEVEL))


def power(effect_size: float, n: int) -> float:
    """Return the probability that n pairs show a true effect of this size (d_z) by the paired t test at LEVEL."""
    from scipy.special import nctdtr, stdtrit  # not scipy.stats, which costs 45 MB; and not before somebody asks

    noncentrality, degrees = min(abs(effect_size) * math.sqrt(n), CERTAIN), n - 1
    critical = float(stdtrit(degrees, 1 - LEVEL / 2))
    # The lower tail is the upper one of the opposite effect; scipy has no digits of it directly.
    return float(2 - nctdtr(degrees, noncentrality, critical) - nctdtr(degrees, -noncentrality, critical))
