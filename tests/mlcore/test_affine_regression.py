"""Small regressions train by affine maps, and to what the products of the others give."""

from typing import Any, cast

import numpy as np
import pytest

from mlcore.checkpoint import state_from_bytes, state_to_bytes
from mlcore.from_scratch.affine_regression import MOST_EXAMPLES, MOST_IN_AN_EPOCH, AffineRegression
from mlcore.spec import LinearSpec, PolynomialSpec, RunSpec
from mlcore.stack import layout_of
from tests.mlcore.trainings import assert_close, epochs, fingerprint, spec_of, trained, training

Changes = dict[str, Any]


def suits(specs: list[RunSpec]) -> bool:
    return AffineRegression.suits(cast("list[PolynomialSpec]", specs), layout_of(specs))


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("polynomial", [{"degree": 19, "epochs": 50}]),
        ("polynomial", [{"n_train": 37, "weight_decay": 0.1}]),  # the last batch is smaller
        ("polynomial", [{"n_train": 7, "batch_size": 60}]),
        ("polynomial", [{"degree": 2, "seed": 1}, {"degree": 5, "learning_rate": 0.002, "weight_decay": 1.0}]),
        ("linear", [{"n_inputs": 3}]),
        ("linear", [{"n_inputs": 3, "seed": 1, "weight_decay": 0.0}, {"n_inputs": 3, "data_seed": 1}]),
        ("folds", [{"n_inputs": 4, "folds": 5, "fold": 2}]),
    ],
)
def test_they_end_where_products_end(name: str, runs: list[Changes], monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [spec_of(name, **changes) for changes in runs]
    assert suits(specs)
    by_maps = trained(specs)
    monkeypatch.setattr(AffineRegression, "suits", lambda *_: False)
    by_products = trained(specs)
    for metric, values in by_products.metrics.items():
        assert_close(by_maps.metrics[metric], values)
    for maps, products in zip(by_maps.weights, by_products.weights, strict=True):
        for tensor in products:
            assert_close(maps[tensor].numpy(), products[tensor].numpy())


@pytest.mark.parametrize("epoch", [1, 49, 50, 71])  # fifty epochs are trained together
def test_they_resume_to_the_same_bits(epoch: int) -> None:
    specs = [spec_of("polynomial", epochs=120, n_train=300, evaluate_every=3)]
    whole, started = training(specs), training(specs)
    reports = {report.epoch: report for report in epochs(whole)}
    next(report for report in epochs(started) if report.epoch == epoch)
    resumed = training(specs, state=state_from_bytes(state_to_bytes(started.state())))
    for report in epochs(resumed):
        assert report == reports[report.epoch]
    assert resumed.epoch == 120
    assert fingerprint(resumed) == fingerprint(whole)


@pytest.mark.parametrize("epoch", [1, 24, 25, 30])  # twenty-five epochs are trained together
def test_a_run_that_stops_leaves_the_others_to_the_bit(epoch: int) -> None:
    specs = [spec_of("polynomial", epochs=60, n_train=300, seed=seed) for seed in range(2)]
    assert suits(specs)
    both, other_stopped = trained(specs), trained(specs, stop=(0, epoch))
    for metric, values in both.metrics.items():
        assert (other_stopped.metrics[metric][:, 1] == values[:, 1]).all(), metric
        assert np.isnan(other_stopped.metrics[metric][epoch:, 0]).all(), metric
    assert other_stopped.weights[1]["layers.0.weight"].equal(both.weights[1]["layers.0.weight"])
    assert not other_stopped.weights[0]["layers.0.weight"].any()


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_train": 1, "batch_size": 1, "n_inputs": 30},
        {"n_train": 6, "batch_size": 2, "n_inputs": 30},
        {"n_inputs": 3, "n_test": 1_000_000},
        {"n_inputs": 3, "n_train": 1000, "batch_size": 1},
    ],
)
def test_what_is_trained_together_stays_small(sizes: Changes) -> None:
    spec = cast("LinearSpec", spec_of("linear", epochs=10_000, **sizes))
    layout = layout_of([spec])
    assert suits([spec])
    together = AffineRegression([spec], layout, "cpu")._together(spec.n_train, 1)
    steps = len(together) * -(-spec.n_train // spec.batch_size)
    assert len(together) >= 1
    assert steps * (spec.n_features + 2) ** 2 <= MOST_IN_AN_EPOCH  # the bias is an input, the constant another
    assert len(together) == 1 or len(together) * sum(spec.sizes) <= MOST_EXAMPLES


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("polynomial", [{"penalty": "l1"}]),
        ("polynomial", [{}, {"learning_rate": 0.002}]),  # one product with a batch serves both
        ("polynomial", [{"seed": seed, "degree": 19} for seed in range(4)]),
        ("polynomial", [{"n_train": 1000, "batch_size": 1000}]),
        ("polynomial", [{"n_train": 100_000, "degree": 9}]),
        ("linear", [{"n_inputs": 200}]),
    ],
)
def test_others_train_by_products(name: str, runs: list[Changes]) -> None:
    assert not suits([spec_of(name, **changes) for changes in runs])
