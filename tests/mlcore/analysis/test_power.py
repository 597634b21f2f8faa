"""The power of the paired t test against scipy's and published numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlcore.analysis.power import MOST_PAIRS, fewest_pairs, pairs_needed, power


@pytest.mark.parametrize(("effect_size", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15), (-0.5, 34)])
def test_pairs_are_those_of_cohens_tables(effect_size: float, pairs: int) -> None:
    assert pairs_needed(effect_size) == pairs


@given(effect_size=st.floats(-10, 10), n=st.integers(6, 60))
@settings(max_examples=50, deadline=None)
def test_power_is_the_share_of_t_statistics_beyond_the_critical_one(effect_size: float, n: int) -> None:
    spread = np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, n - 1) / (n - 1))  # of the estimated std
    mean, critical = effect_size * n**0.5, stats.t.ppf(0.975, n - 1)
    beyond = stats.norm.sf(critical * spread - mean) + stats.norm.cdf(-critical * spread - mean)
    assert power(effect_size, n) == pytest.approx(beyond.mean(), abs=1e-4)


def test_without_an_effect_the_power_is_the_level() -> None:
    assert power(0.0, 10) == pytest.approx(0.05, abs=1e-12)


@given(effect_size=st.floats(0.004, 1e6))
@settings(deadline=None)
def test_no_fewer_pairs_would_do(effect_size: float) -> None:
    pairs = pairs_needed(effect_size)
    assert pairs is not None
    assert power(effect_size, pairs) >= 0.8
    assert pairs == fewest_pairs() or power(effect_size, pairs - 1) < 0.8


def test_no_effect_can_be_shown_with_fewer_than_six_pairs_and_a_tiny_one_not_at_all() -> None:
    assert pairs_needed(1e300) == fewest_pairs() == 6
    assert pairs_needed(1e-4) is None
    assert power(0.0028, MOST_PAIRS) < 0.8 < power(0.0029, MOST_PAIRS)
    assert pairs_needed(0.0028) is None
