"""What is known of a training before and after it."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.analysis.evidence import baseline, evidence, fall_if_longer, noise_floor, tail_start
from mlcore.data import synthetic
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, RunSpec, parse_run_spec

NOTHING: Any = np.empty(0, np.int64)


@pytest.mark.parametrize(
    "spec",
    [
        PolynomialSpec(n_train=100_000, coefficients=[1.0, 2.0], noise_std=0.5),
        PolynomialSpec(n_train=100_000),
        LinearSpec(n_train=100_000, n_inputs=100, noise_std=0.1),
    ],
)
def test_the_baseline_is_the_variance_of_the_labels(spec: Any) -> None:
    data = synthetic.polynomial(spec, 1) if isinstance(spec, PolynomialSpec) else synthetic.linear(spec)
    scale = 0.5 if spec.loss == "half_squared_error" else 1.0
    assert baseline(spec) == pytest.approx(scale * float(data.train.labels.var()), rel=0.05)
    assert noise_floor(spec) == pytest.approx(scale * spec.noise_std**2)


def test_halving_the_loss_halves_what_is_known_of_it() -> None:
    for known in (baseline, noise_floor):
        whole = known(LinearSpec(loss="mse"))
        assert whole is not None
        assert known(LinearSpec()) == whole / 2
    assert baseline(MlpSpec()) == pytest.approx(math.log(10))
    assert noise_floor(MlpSpec()) is None


@given(exponent=st.floats(-3, 3), epochs=st.integers(3, 500), scale=st.floats(1e-6, 1e6))
def test_a_power_law_goes_on_as_one(exponent: float, epochs: int, scale: float) -> None:
    each = np.arange(1, epochs + 1)
    fall = fall_if_longer(each, (scale * each**-exponent).astype(np.float64), epochs)
    assert fall == pytest.approx(1 - 4**-exponent, abs=1e-6)


def test_only_the_end_of_a_curve_tells_whether_it_falls() -> None:
    each = np.arange(1, 101)
    assert fall_if_longer(each, np.where(each < 90, 100.0 / each, 1.0), 100) == 0
    assert fall_if_longer(each[:1], np.ones(1), 1) is None
    assert fall_if_longer(each, np.full(100, np.nan), 100) is None
    assert fall_if_longer(each, None, 100) is None


@given(epochs=st.integers(1, 2000), every=st.integers(1, 2500))
def test_the_tail_of_a_curve_says_what_the_whole_says(epochs: int, every: int) -> None:
    spec = PolynomialSpec(epochs=epochs, evaluate_every=every)
    each = np.array([epoch for epoch in range(1, epochs + 1) if epoch % every == 0 or epoch == epochs])
    values = 2 + np.sin(each)
    tail = each > tail_start(spec)
    assert fall_if_longer(each[tail], values[tail], epochs) == fall_if_longer(each, values, epochs)


@pytest.mark.parametrize(
    ("spec", "held_out", "n_held_out", "n_train"),
    [
        ({"variant": "linear"}, "test", 100, 20),
        ({"variant": "linear", "n_valid": 30}, "valid", 30, 20),
        ({"variant": "linear", "folds": 5, "fold": 1}, "valid", 4, 16),
    ],
)
def test_the_validation_part_is_what_is_held_out_where_there_is_one(
    spec: dict[str, Any], held_out: str, n_held_out: int, n_train: int
) -> None:
    parsed: RunSpec = parse_run_spec(spec)
    metrics = {
        "train_loss": {"last": 1.0, "min": 0.5, "min_epoch": 3, "max": 2.0},
        f"{held_out}_loss": {"last": 2.0, "min": 1.5, "min_epoch": 7, "max": 3.0},
    }
    found = evidence(parsed, "succeeded", metrics, NOTHING, {})
    assert (found.held_out, found.n_held_out, found.n_train) == (held_out, n_held_out, n_train)
    assert (found.train_loss, found.held_out_loss, found.best_held_out_loss, found.best_epoch) == (1.0, 2.0, 1.5, 7)
    assert found.gap == 1.0
    assert found.relative_error == pytest.approx((2 / n_held_out) ** 0.5)


def test_what_was_not_measured_or_is_not_finite_is_not_known() -> None:
    metrics = {"train_loss": {"last": None, "min": 1.0, "min_epoch": 1, "max": None}}
    found = evidence(PolynomialSpec(), "diverged", metrics, NOTHING, {})
    assert (found.train_loss, found.held_out_loss, found.gap, found.standard_error) == (None, None, None, None)
