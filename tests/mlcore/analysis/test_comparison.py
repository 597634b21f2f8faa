"""Replicates, their pairs, and what these say."""

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from mlcore.analysis.comparison import Pair, Replicate, compare, pair, replicates
from mlcore.analysis.evidence import Outcome
from mlcore.analysis.summary import Result
from mlcore.expansion import expand
from mlcore.spec import ExperimentSpec

EIGHTHS = st.integers(-1000, 1000).map(lambda n: n / 8)
PAIRED = st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=2, max_size=12)


def results(values: Sequence[float | Outcome], **experiment: Any) -> list[Result]:
    """The runs of an experiment with these test losses in their order; or an outcome, where a run has none."""
    specs = expand(ExperimentSpec.model_validate({"spec": {"variant": "linear"}} | experiment))
    return [
        Result(UUID(int=number), spec.model_dump(mode="json"), "succeeded", {"test_loss": value})
        if isinstance(value, float)
        else Result(UUID(int=number), spec.model_dump(mode="json"), value, {"test_loss": 0.0})
        for number, (spec, value) in enumerate(zip(specs, values, strict=True))
    ]


def made(*values: float | Outcome, **experiment: Any) -> list[Replicate]:
    return replicates(results(values, **experiment), "test_loss")


@given(PAIRED)
@settings(deadline=None)
def test_the_interval_is_the_paired_t_tests(values: list[tuple[float, float]]) -> None:
    a, b = (np.array(side) for side in zip(*values, strict=True))
    assume(np.std(a - b) > 0)
    found = compare(a.tolist(), b.tolist())
    theirs = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert found.difference.low == pytest.approx(theirs.low)
    assert found.difference.high == pytest.approx(theirs.high)
    assert found.effect_size == pytest.approx(np.mean(a - b) / np.std(a - b, ddof=1), abs=1e-12)
    assert found.a.mean == pytest.approx(a.mean())
    assert found.b.mean == pytest.approx(b.mean())
    assert found.differing == np.count_nonzero(a - b)


@given(PAIRED, EIGHTHS)
@settings(deadline=None)
def test_turning_the_sides_turns_the_difference_and_a_shift_of_both_changes_nothing(
    values: list[tuple[float, float]], shift: float
) -> None:
    a, b = (list(side) for side in zip(*values, strict=True))
    found, turned = compare(a, b), compare(b, a)
    assert turned.test == found.test
    assert turned.pairs_needed == found.pairs_needed
    assert turned.difference.mean == -(found.difference.mean or 0.0)
    assert turned.difference.low == -(found.difference.high or 0.0)
    assert turned.effect_size == (None if found.effect_size is None else -found.effect_size)
    shifted = compare([one + shift for one in a], [one + shift for one in b])
    assert (shifted.difference, shifted.test) == (found.difference, found.test)


def test_one_pair_and_none() -> None:
    one = compare([2.0], [1.0])
    assert (one.n, one.difference.mean, one.difference.low, one.effect_size, one.pairs_needed) == (
        1,
        1,
        None,
        None,
        None,
    )
    assert one.test is not None
    assert one.test.p == 1.0
    none = compare([], [])
    assert (none.n, none.difference.mean, none.test, none.pairs_needed) == (0, None, None, None)


@pytest.mark.parametrize("b", [[0.1, 0.2, 0.3], [1.1, 1.2, 1.3]])
def test_differences_without_spread_but_for_rounding_have_no_effect_size(b: list[float]) -> None:
    found = compare([0.1, 0.2, 0.3], b)
    assert (found.effect_size, found.pairs_needed) == (None, None)
    assert found.test is not None
    assert found.test.p == (1.0 if b[0] == 0.1 else 0.25)


def test_folds_are_averaged_and_a_replicate_needs_all_of_them() -> None:
    found = made(1.0, 3.0, 5.0, "diverged", seeds=2, folds=2)
    assert [(one.seed, one.outcome) for one in found] == [(0, "succeeded"), (1, "diverged")]
    assert found[0].value == 2.0
    assert [one.usable for one in found] == [True, False]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_what_is_no_finite_number_is_no_value(value: float) -> None:
    (found,) = made(value)
    assert (found.outcome, found.usable) == ("succeeded", False)


def test_replicates_are_paired_by_both_seeds_whatever_their_order() -> None:
    a = made(1.0, 2.0, 3.0, 4.0, seeds=[5, 6], data_seeds=[1, 2])
    b = made(40.0, 30.0, 50.0, seeds=[6, 5, 9], data_seeds=[2])
    found = pair(a, b)
    assert [(one.a.value, one.b.value) for one in found.compared] == [(3.0, 30.0), (4.0, 40.0)]
    assert (found.only_a, found.only_b, found.repeated, found.broken) == (2, 1, 0, [])


def test_pairs_of_which_a_side_has_no_value_are_put_aside() -> None:
    a, b = made(1.0, "diverged", 3.0, "queued", seeds=4), made(1.0, 2.0, math.nan, "failed", seeds=4)
    found = pair(a, b)
    assert found.compared == [Pair(a[0], b[0])]
    assert found.broken == [Pair(one, other) for one, other in zip(a[1:], b[1:], strict=True)]


def test_data_seeds_of_all_images_repeat_the_same_training() -> None:
    values = [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]
    whole = made(*values, spec={"variant": "mlp"}, seeds=2, data_seeds=3)
    found = pair(whole, whole)
    assert ([one.a.seed for one in found.compared], found.repeated) == ([0, 1], 4)
    part = made(*values, spec={"variant": "mlp", "n_train": 100}, seeds=2, data_seeds=3)
    assert (len(pair(part, part).compared), len(pair(whole, part).compared), pair(part, part).repeated) == (6, 6, 0)
