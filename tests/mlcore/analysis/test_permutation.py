"""The sign-flip test against brute force, scipy, and the laws of a test."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlcore.analysis import permutation
from mlcore.analysis.permutation import MOST_EXACT, sign_flips

WHOLE = st.integers(-20, 20)


def brute_force(differences: Sequence[int]) -> float:
    sums = [sum(sign * d for sign, d in zip(signs, differences, strict=True)) for signs in _patterns(len(differences))]
    return float(np.mean([abs(one) >= abs(sum(differences)) for one in sums]))


def _patterns(n: int) -> list[tuple[int, ...]]:
    return list(product([-1, 1], repeat=n))


@given(st.lists(WHOLE, min_size=1, max_size=9))
@settings(deadline=None)
def test_it_counts_what_brute_force_counts(differences: list[int]) -> None:
    found = sign_flips(differences)
    assert (found.p, found.exact, found.flips) == (brute_force(differences), True, 2 ** len(differences))
    assert sign_flips([d / 10 for d in differences]).p == found.p  # in tenths, ties are ties but for rounding


@given(st.lists(WHOLE.map(float), min_size=2, max_size=9))
@settings(max_examples=30, deadline=None)
def test_it_is_scipys_permutation_test(differences: list[float]) -> None:
    theirs = stats.permutation_test(
        (np.array(differences),),
        lambda x, axis: x.sum(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert sign_flips(differences).p == pytest.approx(theirs.pvalue, rel=1e-12)


@given(st.lists(st.floats(0.25, 8), min_size=1, max_size=7), st.floats(0.001, 1))
@settings(max_examples=40, deadline=None)
def test_it_errs_no_more_often_than_it_says(sizes: list[float], level: float) -> None:
    ps = [sign_flips([sign * d for sign, d in zip(signs, sizes, strict=True)]).p for signs in _patterns(len(sizes))]
    assert np.mean(np.array(ps) <= level) <= level


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_neither_sides_nor_order_nor_units_matter(differences: list[float], random: np.random.Generator) -> None:
    found = sign_flips(differences)
    assert sign_flips([-d for d in differences]).p == found.p
    assert sign_flips([d * 1024 for d in differences]).p == found.p
    shuffled = sorted(differences, key=lambda _: random.random())
    assert sign_flips(shuffled).p == pytest.approx(found.p, abs=2 / 2 ** len(differences))


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=20), st.integers(0, 3))
@settings(deadline=None)
def test_the_smallest_p_is_reached_when_all_go_the_same_way(differences: list[float], zeros: int) -> None:
    found = sign_flips([*differences, *[0.0] * zeros])
    assert found.p == found.smallest_p == 2 / 2 ** len(differences)


def test_five_pairs_cannot_go_below_a_sixteenth() -> None:
    assert sign_flips([5, 4, 3, 2, 1]).p == 0.0625
    assert sign_flips([0.0, 0.0]).smallest_p == sign_flips([0.0, 0.0]).p == 1.0


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.6])
def test_drawing_agrees_with_counting_and_draws_the_same_again(monkeypatch: pytest.MonkeyPatch, shift: float) -> None:
    differences = np.random.default_rng(4).normal(shift, 1, MOST_EXACT).tolist()
    exact = sign_flips(differences)
    monkeypatch.setattr(permutation, "MOST_EXACT", MOST_EXACT - 1)
    drawn = sign_flips(differences)
    assert (exact.exact, drawn.exact) == (True, False)
    assert drawn.p == pytest.approx(exact.p, abs=4 * drawn.standard_error + 1 / drawn.flips)
    assert drawn == sign_flips(differences) == sign_flips([-d for d in differences])


def test_many_pairs_take_fewer_flips_and_p_is_never_zero() -> None:
    found = sign_flips(np.random.default_rng(0).normal(1, 1, 50_000).tolist())
    assert found.flips == 2**26 // 50_000
    assert found.p == found.smallest_p == 1 / (found.flips + 1)


@pytest.mark.parametrize("differences", [[1e308, 1e308], [5e-324], [1e150, 1e-150, -1e150]])
def test_no_finite_differences_defeat_it(differences: list[float]) -> None:
    assert 0 < sign_flips(differences).p <= 1
