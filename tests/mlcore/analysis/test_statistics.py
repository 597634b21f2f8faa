"""Estimates over replicates against scipy and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlcore.analysis.statistics import estimate


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_an_estimate_is_numpys_and_scipys(values: list[float]) -> None:
    found = estimate(values)
    scale = max(map(abs, values))
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), rel=1e-12, abs=1e-12 * scale)
    assert found.std == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-12 * scale)
    assert found.standard_error == pytest.approx(stats.sem(values), rel=1e-9, abs=1e-12 * scale)
    assert found.standard_error is not None
    if found.standard_error > 1e-9 * scale:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        assert found.low == pytest.approx(low, abs=1e-9 * scale)
        assert found.high == pytest.approx(high, abs=1e-9 * scale)


def test_an_estimate_by_hand() -> None:
    found = estimate([1.0, 2.0, 3.0])
    quantile = 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025))  # Student's t with 2 degrees of freedom has a closed form
    half = quantile / math.sqrt(3)
    assert (found.mean, found.std) == (2.0, 1.0)
    assert found.low == pytest.approx(2 - half, rel=1e-12)
    assert found.high == pytest.approx(2 + half, rel=1e-12)


def test_one_replicate_says_nothing_about_spread() -> None:
    found = estimate([3.5])
    assert (found.n, found.mean) == (1, 3.5)
    assert (found.std, found.low, found.high, found.standard_error) == (None, None, None, None)


def test_equal_replicates_have_no_spread() -> None:
    found = estimate([0.1] * 7)
    assert (found.mean, found.std, found.low, found.high) == (0.1, 0.0, 0.1, 0.1)


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    found = estimate([1.0, math.nan, 3.0, math.inf])
    assert (found.n, found.mean, found.left_out) == (2, 2.0, 2)
    nothing = estimate([math.nan])
    assert (nothing.n, nothing.mean, nothing.left_out) == (0, None, 1)
    assert estimate([]).mean is None


@pytest.mark.parametrize("values", [[1e308] * 3, [1e308, -1e308], [5e-324, 0.0]])
def test_no_finite_values_defeat_it(values: list[float]) -> None:
    assert math.isfinite(estimate(values).mean or 0.0)
