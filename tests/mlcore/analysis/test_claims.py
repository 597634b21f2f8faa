"""When a claim holds: on numbers made by hand, and on any."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.analysis.chapter_claims import CLAIMS
from mlcore.analysis.chapter_trainings import TRAININGS
from mlcore.analysis.claims import FEWEST, SHARE, Judgement, Measure, Quantity, derived, effect_of, judge
from mlcore.analysis.evidence import Outcome
from mlcore.analysis.summary import Result
from mlcore.expansion import expand
from mlcore.spec import ExperimentSpec, parse_run_spec


def run(metrics: dict[str, float], data_seed: int = 0, outcome: Outcome = "succeeded", **fields: Any) -> Result:
    spec = parse_run_spec({"variant": "polynomial", "data_seed": data_seed, **fields})
    return Result(UUID(int=0), spec.model_dump(), outcome, metrics)


def losses(values: Sequence[float], **fields: Any) -> list[Result]:
    return [run({"test_loss": value}, data_seed, **fields) for data_seed, value in enumerate(values)]


LOSS = Quantity("t", "test_loss")


def judged(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> Judgement:
    return judge(Measure("the test loss", LOSS, low=low, high=high), {"t": losses(values)})


def test_a_claim_holds_when_replicates_and_mean_bear_it_out() -> None:
    found = judged([1.0, 1.25, 1.5, 1.25, 1.0], low=0.9)
    assert found.holds is True
    assert found.fraction == 1.0
    assert found.replicates == 5
    assert found.effect is not None
    assert found.effect.mean == pytest.approx(1.2)
    assert found.effect.median == 1.25
    assert (found.effect.low, found.effect.high) == pytest.approx((0.9402, 1.4598), abs=1e-4)
    assert found.reason == "It is so in 5 of 5 replicates, and on average, with the whole confidence interval."


def test_a_claim_does_not_hold_where_too_few_replicates_bear_it_out_whatever_the_mean() -> None:
    found = judged([100.0] * 7 + [0.0] * 3, low=1.0)
    assert found.holds is False
    assert found.fraction == 0.7
    assert "in 7 of 10 replicates, fewer than 75%" in found.reason


def test_nothing_is_said_where_the_interval_reaches_out_of_the_bounds() -> None:
    found = judged([1.1] * 9 + [-50.0], low=1.0)
    assert found.fraction == 0.9
    assert found.holds is None
    assert "reaches beyond" in found.reason


def test_nothing_is_said_of_fewer_than_five_replicates() -> None:
    found = judged([2.0] * 4, low=1.0)
    assert found.holds is None
    assert found.fraction == 1.0
    assert "4 replicates" in found.reason
    assert judged([2.0] * 5, low=1.0).holds is True
    assert judged([]).effect is None


def test_runs_that_diverged_count_against_and_those_that_failed_are_left_out() -> None:
    results = losses([2.0] * 6)
    diverged = [run({}, 10 + number, "diverged") for number in range(3)]
    failed = [run({}, 20 + number, "failed") for number in range(4)]
    found = judge(Measure("the test loss", LOSS, low=1.0), {"t": results + diverged + failed})
    assert (found.replicates, found.diverged, found.left_out) == (9, 3, 4)
    assert found.fraction == pytest.approx(6 / 9)
    assert found.holds is False
    assert list(found.values) == [2.0] * 6


def test_two_configurations_are_compared_by_seed_and_data_seed() -> None:
    one, other = losses([3.0, 5.0, 7.0], degree=1), losses([1.0, 2.0, 4.0], degree=3)
    a, b = (Quantity("t", "test_loss", {"degree": degree}) for degree in (1, 3))
    results = {"t": [*one, *reversed(other)]}
    assert list(judge(Measure("Δ", a, b, "difference"), results).values) == [2.0, 3.0, 3.0]
    ratios = judge(Measure("÷", a, b, "ratio"), results)
    assert list(ratios.values) == [3.0, 2.5, 1.75]
    assert ratios.effect is not None
    assert ratios.effect.mean == pytest.approx((3 * 2.5 * 1.75) ** (1 / 3))


def test_the_diverged_side_of_a_pair_counts_against() -> None:
    a, b = (Quantity("t", "test_loss", {"degree": degree}) for degree in (1, 3))
    results = {"t": [run({"test_loss": 1.0}, 0, degree=1), run({}, 0, "diverged", degree=3)]}
    found = judge(Measure("÷", a, b, "ratio"), results)
    assert (found.replicates, found.diverged, found.fraction) == (1, 1, 0.0)


def test_folds_are_averaged_within_a_replicate() -> None:
    folds = [run({"test_loss": value}, seed, folds=2, fold=fold) for seed, fold, value in FOLDED]
    assert list(judge(Measure("loss", LOSS), {"t": folds}).values) == [2.0, 6.0]


FOLDED = ((0, 0, 1.0), (0, 1, 3.0), (1, 0, 5.0), (1, 1, 7.0))


def test_what_is_derived_from_metrics_and_weights() -> None:
    weights = {"weights": [1.0, -2.0, 0.5], "true_weights": [1.5, -2.0, 0.25], "near_zero": {"count": 3}}
    found = derived({"test_loss": 3.0, "train_loss": 1.0}, weights)
    assert (found["loss_gap"], found["weight_error"], found["near_zero"]) == (2.0, 0.5, 3)
    assert math.isnan(derived({"test_loss": 3.0})["loss_gap"])


finite = st.floats(-1e6, 1e6)
positive = st.floats(1e-9, 1e9)


@given(st.lists(finite, max_size=12), finite, finite)
def test_a_verdict_follows_from_fraction_and_interval(values: list[float], one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    found = judged(values, low, high)
    if len(values) < FEWEST:
        assert found.holds is None
        return
    assert found.fraction is not None
    assert (found.holds is False) == (found.fraction < SHARE)
    if found.holds:
        assert found.effect is not None
        assert found.effect.low is not None
        assert found.effect.high is not None
        assert low < found.effect.low <= found.effect.high < high


@given(st.lists(positive, min_size=5, max_size=12), st.floats(1e-3, 1e3))
def test_a_geometric_effect_scales_with_its_values(values: list[float], factor: float) -> None:
    found, scaled = (effect_of(each, geometric=True) for each in (values, [factor * value for value in values]))
    assert found is not None
    assert scaled is not None
    assert scaled.mean == pytest.approx(factor * found.mean, rel=1e-6)
    assert min(values) * (1 - 1e-9) <= found.mean <= max(values) * (1 + 1e-9)


@given(st.permutations([0.5, 1.5, 2.5, 3.5, 9.5, 1.0, 1.25]))
def test_the_order_of_replicates_is_of_no_matter(values: list[float]) -> None:
    found, other = judged(values, 0.75), judged(sorted(values), 0.75)
    assert (found.holds, found.fraction, found.reason) == (other.holds, other.fraction, other.reason)


MEASURES = [(name, measure) for name, claim in CLAIMS.items() for measure in (claim.measure, claim.control) if measure]


@pytest.mark.parametrize(("name", "measure"), MEASURES)
def test_every_claim_is_about_enough_replicates_of_what_is_trained(name: str, measure: Measure) -> None:
    for quantity in measure.quantities:
        if quantity.training == "masks":
            continue
        request = {key: value for key, value in TRAININGS[quantity.training].items() if key != "name"}
        specs = [one.model_dump() for one in expand(ExperimentSpec.model_validate(request))]
        fitting = [spec for spec in specs if quantity.fits(spec)]
        is_mlp = fitting[0]["variant"] == "mlp"
        assert len({(spec["seed"], spec["data_seed"]) for spec in fitting}) >= (5 if is_mlp else 20), name
        varied = {key for one, other in product(fitting[:1], fitting) for key in one if one[key] != other[key]}
        assert varied <= {"seed", "data_seed", "fold"}, name
        assert not is_mlp or fitting[0]["n_train"] >= 5000


def test_every_training_is_asked_for() -> None:
    assert {one.training for _, measure in MEASURES for one in measure.quantities} == {*TRAININGS, "masks"}
