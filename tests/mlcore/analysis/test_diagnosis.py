"""Verdicts on hand-made numbers and curves, and on what the chapter's experiments give."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.analysis.diagnosis import Verdict, diagnose, diagnose_replicates, train_limit, verdict_of
from mlcore.analysis.evidence import Evidence, mean

AT_THE_NOISE = Evidence(
    outcome="succeeded",
    held_out="test",
    n_train=100,
    n_held_out=100,
    baseline=1.0,
    noise_floor=0.01,
    train_loss=0.01,
    held_out_loss=0.011,
    lowest_train_loss=0.01,
    best_epoch=400,
    best_held_out_loss=0.011,
    train_fall=0.0,
    held_out_fall=0.0,
)
IMAGES = replace(
    AT_THE_NOISE, n_train=5000, n_held_out=2000, baseline=2.3, noise_floor=None, train_loss=0.4, lowest_train_loss=0.4,
    held_out_loss=0.45, best_held_out_loss=0.45,
)  # fmt: skip


def changed(start: Evidence, **changes: Any) -> Evidence:
    """The same evidence with changes; the lowest losses follow the last ones unless they are given."""
    if "train_loss" in changes:
        changes.setdefault("lowest_train_loss", changes["train_loss"])
    if "held_out_loss" in changes:
        changes.setdefault("best_held_out_loss", changes["held_out_loss"])
    return replace(start, **changes)


@pytest.mark.parametrize(
    ("start", "changes", "verdict"),
    [
        (AT_THE_NOISE, {}, "good_fit"),
        (AT_THE_NOISE, {"outcome": "diverged"}, "diverged"),
        (AT_THE_NOISE, {"outcome": "diverged", "train_loss": None}, "diverged"),
        (AT_THE_NOISE, {"train_loss": 0.5, "held_out_loss": 0.6}, "underfitting"),
        (AT_THE_NOISE, {"train_loss": 0.5, "held_out_loss": 4.0}, "underfitting"),  # missed by 35, a gap of 8
        (AT_THE_NOISE, {"train_loss": 0.5, "held_out_loss": 0.6, "train_fall": 0.4}, "not_converged"),
        (AT_THE_NOISE, {"train_loss": 0.5, "held_out_loss": 0.6, "train_fall": 0.2}, "underfitting"),
        (AT_THE_NOISE, {"train_fall": 0.9, "held_out_fall": 0.9}, "good_fit"),  # at the noise nothing is left
        (AT_THE_NOISE, {"held_out_loss": 0.05}, "overfitting"),
        (AT_THE_NOISE, {"train_loss": 1e-9, "held_out_loss": 0.05}, "overfitting"),
        (AT_THE_NOISE, {"train_loss": 1e-9}, "good_fit"),  # interpolates, and is as good as can be
        (AT_THE_NOISE, {"train_loss": 1e-9, "held_out_loss": 0.05, "train_fall": 0.99}, "overfitting"),
        (AT_THE_NOISE, {"train_loss": 0.1, "held_out_loss": 5.0}, "overfitting"),  # missed by 7, a gap of 50
        (AT_THE_NOISE, {"held_out_loss": 0.016, "held_out_fall": 0.4}, "not_converged"),
        (AT_THE_NOISE, {"held_out_loss": 0.2, "held_out_fall": 0.4}, "overfitting"),  # would not close the gap
        (AT_THE_NOISE, {"held_out_loss": 0.013}, "good_fit"),  # 2.1 standard errors
        (AT_THE_NOISE, {"held_out_loss": 0.013, "n_held_out": 1000}, "overfitting"),
        (AT_THE_NOISE, {"held_out_loss": 0.012, "n_held_out": 100_000}, "good_fit"),  # 43 of them, but a fifth only
        (AT_THE_NOISE, {"n_held_out": 4}, "inconclusive"),
        (AT_THE_NOISE, {"held_out_loss": 9.0, "n_held_out": 4}, "overfitting"),
        (AT_THE_NOISE, {"train_loss": 0.5, "held_out_loss": 0.6, "train_fall": None}, "inconclusive"),
        (AT_THE_NOISE, {"held_out_loss": 0.05, "held_out_fall": None}, "inconclusive"),
        (AT_THE_NOISE, {"train_fall": None, "held_out_fall": None}, "good_fit"),
        (AT_THE_NOISE, {"train_loss": 0.5, "held_out_loss": 0.5, "lowest_train_loss": 0.011}, "inconclusive"),
        (AT_THE_NOISE, {"held_out_loss": None}, "inconclusive"),
        (AT_THE_NOISE, {"outcome": "running"}, "inconclusive"),
        (AT_THE_NOISE, {"outcome": "cancelled"}, "inconclusive"),
        (AT_THE_NOISE, {"noise_floor": 0.0, "train_loss": 1e-12, "held_out_loss": 1e-7}, "good_fit"),
        (AT_THE_NOISE, {"noise_floor": 0.0, "train_loss": 1e-12, "held_out_loss": 1e-3}, "overfitting"),
        (IMAGES, {}, "good_fit"),
        (IMAGES, {"train_fall": 0.5, "held_out_fall": 0.5}, "not_converged"),  # nobody knows how low it can get
        (IMAGES, {"train_fall": 0.5, "held_out_fall": 0.1}, "good_fit"),
        (IMAGES, {"train_loss": 2.3, "held_out_loss": 2.3}, "underfitting"),
        (IMAGES, {"train_loss": 1.0, "held_out_loss": 1.1, "train_fall": 0.5}, "not_converged"),
        (IMAGES, {"train_loss": 0.1, "held_out_loss": 0.5}, "overfitting"),
        (IMAGES, {"train_loss": 1.0, "held_out_loss": 1.2, "lowest_train_loss": 0.2}, "inconclusive"),
    ],
)
def test_the_verdict_follows_the_rules(start: Evidence, changes: dict[str, Any], verdict: Verdict) -> None:
    found = diagnose(changed(start, **changes))
    assert found.verdict == verdict
    assert found.reasons
    assert all(reason.endswith(".") and "None" not in reason and "unknown" not in reason for reason in found.reasons)


def test_reasons_have_the_numbers() -> None:
    misses, flat = diagnose(changed(AT_THE_NOISE, train_loss=0.5, held_out_loss=0.6)).reasons
    limit = train_limit(AT_THE_NOISE)
    assert limit == pytest.approx(0.01 * (1 + 3 * 0.02**0.5) + 1e-5)
    assert misses == "The training loss, 0.5, is above 0.0143, what the noise alone, 0.01, may give on 100 examples."
    assert flat == "The training loss no longer falls."
    worse = changed(AT_THE_NOISE, held_out="valid", held_out_loss=0.05, best_held_out_loss=0.012, best_epoch=75)
    gap, best, _ = diagnose(worse).reasons
    assert gap == (
        "The validation loss, 0.05, is 5 times the noise's, 0.01: a gap of 28.2 standard errors (100 examples)."
    )
    assert best == "It had been 0.012 after epoch 75."
    (_, falling) = diagnose(changed(IMAGES, train_loss=1.0, held_out_loss=1.1, train_fall=0.5)).reasons
    assert falling == "At the slope of its end, four times the epochs would lower the training loss by 50 %."


def replicates(*losses: tuple[float, float]) -> Sequence[Evidence]:
    return [changed(AT_THE_NOISE, train_loss=train, held_out_loss=held_out) for train, held_out in losses]


def test_a_configuration_has_the_verdict_of_most_replicates_and_the_numbers_of_those() -> None:
    found = diagnose_replicates(replicates((0.5, 0.5), (0.7, 0.7), (0.01, 0.01)))
    assert (found.verdict, found.agree, found.replicates) == ("underfitting", 2, 3)
    assert found.verdicts == {"underfitting": 2, "good_fit": 1}
    assert found.reasons[0] == "2 of 3 replicates agree; the others: 1 good_fit."
    assert found.evidence.train_loss == pytest.approx(0.6)
    assert "0.6" in found.reasons[1]


def test_without_a_majority_a_configuration_is_inconclusive() -> None:
    found = diagnose_replicates(replicates((0.5, 0.5), (0.01, 0.01)))
    assert (found.verdict, found.agree, found.replicates) == ("inconclusive", 0, 2)
    assert found.reasons == ["No verdict has more than half of the 2 replicates: 1 underfitting, 1 good_fit."]


def test_one_replicate_speaks_for_itself() -> None:
    found = diagnose_replicates([AT_THE_NOISE])
    assert (found.verdict, found.reasons) == ("good_fit", diagnose(AT_THE_NOISE).reasons)


def test_folds_together_hold_out_more_examples_than_one() -> None:
    fold = changed(AT_THE_NOISE, held_out="valid", n_train=16, n_held_out=4)
    assert verdict_of(fold) == "inconclusive"
    averaged = mean([fold, changed(fold, held_out_loss=0.009)] * 3, folds=True)
    assert averaged.n_held_out == 24
    assert averaged.held_out_loss == pytest.approx(0.01)
    assert verdict_of(averaged) == "good_fit"
    assert mean([fold, replace(fold, outcome="diverged")], folds=True).outcome == "diverged"
    assert mean([fold, replace(fold, train_fall=None)], folds=True).train_fall is None


losses = st.none() | st.floats(1e-300, 1e300)


@given(
    train=losses, held_out=losses, falls=st.none() | st.floats(-1e6, 1), n=st.integers(1, 10**6),
    floor=st.none() | st.floats(0, 1e6), outcome=st.sampled_from(["succeeded", "failed", "diverged"]),
)  # fmt: skip
def test_every_evidence_has_a_verdict_with_reasons(
    train: float | None, held_out: float | None, falls: float | None, n: int, floor: float | None, outcome: Any
) -> None:
    evidence = replace(
        AT_THE_NOISE, train_loss=train, held_out_loss=held_out, train_fall=falls, held_out_fall=falls, n_held_out=n,
        noise_floor=floor, outcome=outcome,
    )  # fmt: skip
    assert diagnose(evidence).reasons
    several = diagnose_replicates([evidence, AT_THE_NOISE, AT_THE_NOISE])
    assert several.verdict == "good_fit"


@given(low=st.floats(0.01, 100), more=st.floats(1, 100))
def test_a_greater_held_out_loss_never_turns_overfitting_into_a_good_fit(low: float, more: float) -> None:
    before, after = (verdict_of(changed(AT_THE_NOISE, held_out_loss=loss)) for loss in (low, low * more))
    assert (before, after) in {("good_fit", "good_fit"), ("good_fit", "overfitting"), ("overfitting", "overfitting")}
