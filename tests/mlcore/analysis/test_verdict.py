"""What is said of a comparison."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlcore.analysis.comparison import Pair, Pairs, Replicate, compare
from mlcore.analysis.evidence import Outcome
from mlcore.analysis.permutation import sign_flips
from mlcore.analysis.verdict import remarks, verdict


def replicate(value: float, outcome: Outcome = "succeeded", data: int | None = 0) -> Replicate:
    return Replicate(0, 0, data, outcome, value)


def said(a: list[float], b: list[float], metric: str = "test_loss", broken: tuple[Pair, ...] = ()) -> str:
    compared = [Pair(replicate(one), replicate(other)) for one, other in zip(a, b, strict=True)]
    return verdict(compare(a, b), Pairs(compared, broken, 0, 0, 0), metric)


SEVEN = [0.5, 0.75, 0.5, 1.0, 0.5, 0.75, 0.625]


def test_a_difference_that_is_shown_is_said_with_its_interval_p_and_n() -> None:
    mean = "has the lower test loss, by 0.661 on average"
    expected = f"{mean}, 95 % confidence interval 0.488 to 0.834 (p = 0.0156, 7 pairs)."
    assert said(SEVEN, [0.0] * 7) == f"B {expected}"
    assert said([0.0] * 7, SEVEN) == f"A {expected}"
    assert "A has the higher test accuracy" in said(SEVEN, [0.0] * 7, "test_accuracy")
    assert "B has the lower weight l2 norm" in said(SEVEN, [0.0] * 7, "weight_l2_norm")


def test_five_pairs_cannot_show_anything_however_large_the_difference() -> None:
    found = said([100.0, 101, 102, 103, 105], [0.0] * 5)
    assert found.startswith(
        "5 pairs cannot go below p = 0.0625, so no difference can be told from chance: b has the lower"
    )
    assert found.endswith("6 pairs would show it with a power of 80 %: 1 more.")


def test_what_is_not_shown_is_not_denied() -> None:
    found = said([1.0, -1.0, 2.0, -0.5, 0.25, 0.75, -0.5], [0.0] * 7)
    assert found.startswith("No difference is shown, which is no proof that there is none: b has the lower test loss")
    assert "p = 0.5" in found
    assert "pairs would show it with a power of 80 %" in found
    even = said([1.0, -1.0, 2.0, -2.0, 3.0, -3.0], [0.0] * 6)
    assert "the mean test loss is the same, 95 % confidence interval" in even
    assert "(p = 1, 6 pairs)." in even


def test_where_p_and_interval_disagree_nothing_is_claimed() -> None:
    found = said([0.001, 0.002, 0.001, 0.003, 0.002, 0.001, 0.002, 0.9], [0.0] * 8)
    assert found.startswith("The evidence is divided")
    assert "(p = 0.00781, 8 pairs)" in found
    assert found.endswith("more.")


@given(st.lists(st.integers(-20, 60), min_size=1, max_size=12))
@settings(deadline=None)
def test_a_difference_is_claimed_only_where_both_tests_show_it(differences: list[int]) -> None:
    found = said([float(one) for one in differences], [0.0] * len(differences))
    if found.startswith(("A has", "B has")):
        assert len(differences) >= 6
        assert found.startswith("B has" if sum(differences) > 0 else "A has")
        assert sign_flips(differences).p <= 0.05
        assert len(set(differences)) == 1 or stats.ttest_1samp(differences, 0).pvalue <= 0.05


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([], [], "There is nothing to compare"),
        ([1.0], [2.0], "One pair says nothing about chance, so no difference can be told from chance: a has the lower"),
        ([1.0], [1.0], "One pair says nothing about chance"),
        ([1.0, 2.0], [1.0, 2.0], "Both sides have the same test loss in all 2 pairs"),
        ([1.0] * 8, [2.0] * 8, "A has the lower test loss, by 1 on average, the same in every pair"),
        ([1.0] * 3, [2.0] * 3, "3 pairs cannot go below p = 0.25"),
        ([1.0] * 9, [2.0, 3.0] + [1.0] * 7, "9 pairs of which 2 differ cannot go below p = 0.5"),
        ([1e-4, -1e-4] * 50, [1e-9] * 100, "So small an effect would take over a million pairs"),
    ],
)
def test_what_cannot_be_told_is_said(a: list[float], b: list[float], expected: str) -> None:
    assert expected in said(a, b)


def test_pairs_without_a_value_are_named_with_their_reasons() -> None:
    nan = math.nan
    broken = (
        Pair(replicate(1.0), replicate(nan, "diverged")),
        Pair(replicate(1.0), replicate(nan, "diverged")),
        Pair(replicate(nan, "running"), replicate(math.inf)),
    )
    found = said([1.0], [2.0], broken=broken)
    assert found.endswith("Left out: 3 pairs, in which b diverged (2), a has not ended (1), b has no finite value (1).")


def test_it_is_remarked_when_all_pairs_have_the_same_data_or_repeat_each_other() -> None:
    same = [Pair(replicate(1.0, data=3), replicate(2.0, data=3))] * 2
    other = Pair(replicate(1.0, data=4), replicate(2.0, data=4))
    assert ["the same data" in one for one in remarks(Pairs(same, [], 0, 0, 0))] == [True]
    assert list(remarks(Pairs([*same, other], [], 0, 0, 0))) == []
    assert list(remarks(Pairs(same[:1], [], 0, 0, 0))) == []
    (found,) = remarks(Pairs([other], [], 2, 0, 0))
    assert found.startswith("2 pairs are left out: the same trainings")
